"""The hardware of a run: device, precision and threads. It is chosen once, at the start."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlbot.hardware.group import SINGLE, Group
from rlbot.processes.cores import available_cores

# The dtype of the inputs of matrix products. tf32: float32 numbers, of which the GPU multiplies the first 10 bits.
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_AMPERE = (8, 0)  # the first compute capability with TF32 and bf16
_WIDE = 1024  # units of a layer above which bf16 is faster than TF32 (docs/performance.md)
# Rows that go through the network at once. On a CPU the activations should fit into the cache, and into memory that the
# process already has: blocks of many MB are returned to the system after each layer and fetched again page by page.
ROWS = {"cpu": 4096, "cuda": 32_768}


def _choose_device(device: str, index: int) -> torch.device:
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"hardware.device={device!r} is unknown; use auto, cpu or cuda.")
    available = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ValueError(
            "hardware.device=cuda: PyTorch sees no CUDA GPU on this machine.\n"
            "Use hardware=cpu or hardware=auto, or install a CUDA build of PyTorch and the NVIDIA driver."
        )
    return torch.device("cuda", index) if available else torch.device("cpu")


def _cpu_is_fast_in_bf16() -> bool:
    """Whether matrix products are faster in bf16: with AMX, and with AVX512-BF16 on AMD processors. On Intel processors
    without AMX they take nearly twice as long, as PyTorch's float32 is faster there (docs/performance.md). False if
    PyTorch is too old to report it, if ATEN_CPU_CAPABILITY limits PyTorch to AVX2 or less, and on Arm, where some
    builds of PyTorch do not use the processor's bf16."""
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    amd = "AMD" in str(capabilities.get("cpu_name", ""))
    return bool(capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and amd))


def _choose_cpu_precision(precision: str) -> tuple[str, str]:
    """Returns the precision on the CPU and the reason for it."""
    if precision in ("fp16", "tf32"):
        raise ValueError(f"hardware.precision={precision} needs a CUDA GPU; on the CPU use fp32 or bf16.")
    fast = _cpu_is_fast_in_bf16()
    if precision == "bf16" and not fast:
        return "bf16", "asked for, though fp32 is faster on this CPU"
    if precision != "auto":
        return precision, "asked for"
    return ("bf16", "the faster one on this CPU") if fast else ("fp32", "the faster one on this CPU")


def _choose_gpu_precision(precision: str, capability: tuple[int, int], width: int) -> tuple[str, str]:
    """Returns the precision on a GPU of this compute capability, for a network whose widest layer has `width` units,
    and the reason for it."""
    if precision in ("tf32", "bf16") and capability < _AMPERE:
        raise ValueError(
            f"hardware.precision={precision}: this GPU is older than Ampere and has no {precision}; use fp16 or fp32."
        )
    if precision != "auto":
        return precision, "asked for"
    if capability < _AMPERE:
        return "fp32", "the GPU is older than Ampere"
    if width > _WIDE:
        return "bf16", f"the faster one for layers of more than {_WIDE} units"
    return "tf32", f"the faster one for layers of up to {_WIDE} units"


def _choose_precision(precision: str, device: torch.device, width: int) -> tuple[str, str]:
    """Returns the precision and the reason for it."""
    if precision not in ("auto", *DTYPES):
        raise ValueError(f"hardware.precision={precision!r} is unknown; use auto, {', '.join(DTYPES)}.")
    if device.type == "cpu":
        return _choose_cpu_precision(precision)
    return _choose_gpu_precision(precision, torch.cuda.get_device_capability(device), width)


def _require_agreement(group: Group, choice: str) -> None:
    """Raises ValueError if the ranks chose differently: they must compute alike, because their gradients are summed."""
    for rank, other in enumerate(group.gather(choice)):
        if other != choice:
            raise ValueError(
                f"hardware: rank {group.rank} would compute on {choice}, rank {rank} on {other};\n"
                "name what all of them have with hardware.device and hardware.precision"
            )


@dataclass(frozen=True)
class Hardware:
    """Device and precision of a run. Make it with `Hardware.choose`.

    device: torch.device; precision: "fp32", "tf32", "fp16" or "bf16"; reason: one line that says what was chosen and
    why; group: the ranks that train together.
    """

    device: torch.device
    precision: str
    reason: str
    group: Group = SINGLE

    @classmethod
    def choose(
        cls,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        group: Group = SINGLE,
        width: int = 256,
    ) -> "Hardware":
        """Chooses the hardware, and sets the number of threads, the handling of denormals and whether float32 products
        are TF32 in this process.

        threads=None: with a GPU one, since workers use the other cores, and a thread that waits for a core holds up all
        others; on the CPU PyTorch's choice, or this process's share of the cores if that is less or there are several
        ranks.
        width: units of the network's widest layer, by which precision="auto" chooses on a GPU. Raises ValueError that
        names the setting if this machine cannot do what was asked for, or if the ranks chose differently.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"hardware.threads={threads} must be at least 1, or null for PyTorch's own choice.")
        chosen = _choose_device(device, group.world.local_rank)
        chosen_precision, why = _choose_precision(precision, chosen, width)
        _require_agreement(group, f"{chosen.type} in {chosen_precision}")
        cores = max(available_cores() // group.world.local_size, 1)
        if threads is None and chosen.type == "cuda":
            threads = 1
        # PyTorch does not know of limits on CPU time.
        if threads is None and (group.size > 1 or cores < torch.get_num_threads()):
            threads = cores
        # Denormals are set to zero before the thread pool starts, because its threads inherit the setting. Numbers
        # below 1e-38 are a hundred times slower on a CPU and have no effect here; Adam's averages of a dead unit's
        # gradient decay to them.
        for kind in (np.float32, np.float64):
            np.finfo(kind)  # NumPy measures its limits at the first use, and warns if denormals are zero then
        torch.set_flush_denormal(True)
        torch.set_float32_matmul_precision("high" if chosen_precision == "tf32" else "highest")
        if threads is not None:
            torch.set_num_threads(threads)
        name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"{torch.get_num_threads()} threads"
        several = f", {group.size} processes" if group.size > 1 else ""
        reason = f"Hardware: {chosen.type} ({name}), {chosen_precision}{several}: {why}"
        return cls(chosen, chosen_precision, reason, group)

    def autocast(self) -> AbstractContextManager[object]:
        """Returns a context in which matrix products are computed in the chosen precision."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products under `autocast`."""
        return DTYPES[self.precision]

    @property
    def rows(self) -> int:
        """Rows that go through the network at once."""
        return ROWS[self.device.type]

    def tensor(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """Returns `array` on the device. On the CPU it shares the memory. A GPU copies it while the host continues:
        from where it is if that is page-locked (`page_lock`), so it must not change before the copy is made; otherwise
        from a page-locked copy."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cpu":
            return tensor
        locked = tensor if tensor.is_pinned() else tensor.pin_memory()
        return locked.to(self.device, non_blocking=True)

    def array(self, tensor: torch.Tensor) -> np.ndarray[Any, Any]:
        """Returns `tensor` as an array, when the device has computed it. The process sleeps meanwhile: it would take a
        core from the workers if it asked the device all the time, as PyTorch does."""
        if self.device.type == "cuda":
            event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            event.record()
            event.synchronize()
        array: np.ndarray[Any, Any] = tensor.cpu().numpy()
        return array

    def page_lock(self, memory: Any) -> Callable[[], None]:
        """Locks a buffer into memory, from which a GPU then copies directly. Returns what unlocks it; call that before
        the buffer is freed. Does nothing without a GPU, and where the system does not allow it.

        https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__MEMORY.html (cudaHostRegister)
        """
        if self.device.type == "cpu":
            return lambda: None
        whole = np.frombuffer(memory, np.uint8)
        address, cudart = whole.ctypes.data, torch.cuda.cudart()  # type: ignore[no-untyped-call]
        if int(cudart.cudaHostRegister(address, whole.nbytes, 0)) != 0:
            with suppress(RuntimeError):
                torch.zeros(1, device=self.device)  # raises that error, as the next kernel would otherwise
            return lambda: None
        return lambda: cudart.cudaHostUnregister(address)

    def scaler(self) -> torch.amp.GradScaler:
        """Returns a new gradient scaler. It is enabled only in fp16, where gradients below 6e-8 would become 0."""
        return torch.amp.GradScaler("cuda", enabled=self.precision == "fp16")

    def seed(self, seed: int) -> None:
        """Seeds the global generators of Python, NumPy and PyTorch (all devices)."""
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - other libraries may use the global generator
        torch.manual_seed(seed)

    def synchronize(self) -> None:
        """Waits until the device has finished; for timing."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
