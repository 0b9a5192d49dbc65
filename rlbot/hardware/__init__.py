"""Device, precision, compilation, threads and the GPU monitor."""

from rlbot.cores import available_cores
from rlbot.hardware.gpu import gpu_line, gpu_stats
from rlbot.hardware.hardware import Hardware

__all__ = ["Hardware", "available_cores", "gpu_line", "gpu_stats"]
