"""How many processes are worth starting. Apart from rlbot.hardware, which needs PyTorch."""

import os


def available_cores() -> int:
    """Processor cores this process may use: fewer than the machine has in a container or a batch job."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
