"""Load and memory of an NVIDIA GPU, through NVML."""

import os
from typing import Any


def _handle(nvml: Any, index: int) -> Any:
    """NVML's handle of CUDA device `index`. NVML numbers all GPUs of the machine, CUDA only the visible ones."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[index] if index < len(visible) else str(index)
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)


def gpu_stats(index: int = 0) -> dict[str, float] | None:
    """Returns "utilization" (percent), "memory_used" and "memory_total" (MB of 2**20 bytes) of CUDA device `index`.

    Returns None if there is no NVIDIA GPU or its driver does not report them; never raises.
    """
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        try:
            handle = _handle(pynvml, index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            utilization = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
        finally:
            pynvml.nvmlShutdown()
    except (pynvml.NVMLError, OSError, ValueError):
        return None
    return {
        "utilization": float(utilization),
        "memory_used": memory.used / 2**20,
        "memory_total": memory.total / 2**20,
    }


def gpu_line(stats: dict[str, float]) -> str:
    """Returns the text that the console shows for `gpu_stats`."""
    used, total = stats["memory_used"], stats["memory_total"]
    return f"GPU utilization: {stats['utilization']:.1f}%, Memory: {used:.0f}/{total:.0f} MB"
