"""Device, precision, compilation, threads and the GPU monitor."""

from rlbot.hardware.gpu import gpu_line, gpu_stats
from rlbot.hardware.hardware import Hardware, available_cores

__all__ = ["Hardware", "available_cores", "gpu_line", "gpu_stats"]
