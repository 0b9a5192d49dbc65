"""Device, precision, threads, the process group and the GPU monitor."""

from rlbot.hardware.gpu import gpu_line, gpu_stats
from rlbot.hardware.group import SINGLE, Group
from rlbot.hardware.hardware import Hardware
from rlbot.processes.cores import available_cores

__all__ = ["SINGLE", "Group", "Hardware", "available_cores", "gpu_line", "gpu_stats"]
