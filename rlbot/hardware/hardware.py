"""What a run computes on: chosen once at the start, asked everywhere else."""

import functools
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
import torch

P = ParamSpec("P")
R = TypeVar("R")

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def _choose_device(device: str) -> torch.device:
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"hardware.device={device!r} is unknown; use auto, cpu or cuda.")
    available = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ValueError(
            "hardware.device=cuda: PyTorch sees no CUDA GPU on this machine.\n"
            "Use hardware=cpu or hardware=auto, or install a CUDA build of PyTorch and the NVIDIA driver."
        )
    return torch.device("cuda", 0) if available else torch.device("cpu")


def _choose_precision(precision: str, device: torch.device) -> tuple[str, str]:
    """The precision and the reason for it."""
    if precision not in ("auto", "fp32", *DTYPES):
        raise ValueError(f"hardware.precision={precision!r} is unknown; use auto, fp32, fp16 or bf16.")
    if device.type == "cpu":
        if precision == "fp16":
            raise ValueError("hardware.precision=fp16 needs a CUDA GPU; on the CPU use fp32 or bf16.")
        if precision == "bf16":
            return (
                "bf16",
                "asked for; faster than fp32 only on CPUs with bf16 instructions and for wide networks",
            )
        return "fp32", "asked for" if precision == "fp32" else "the exact choice on a CPU"
    native_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not native_bf16:
        raise ValueError("hardware.precision=bf16: this GPU has no bf16 arithmetic; use fp16 or fp32.")
    if precision != "auto":
        return precision, "asked for"
    if native_bf16:
        return "bf16", "the GPU supports it and it needs no gradient scaling"
    return "fp16", "the GPU has no bf16 arithmetic; gradients are scaled"


@dataclass(frozen=True)
class Hardware:
    """Device, precision and compilation of a run. Make it with `Hardware.choose`.

    device: torch.device; precision: "fp32", "fp16" or "bf16"; compiled: whether `compile` compiles; reason:
    one line that says what was chosen and why.
    """

    device: torch.device
    precision: str
    compiled: bool
    reason: str

    @classmethod
    def choose(
        cls, device: str = "auto", precision: str = "auto", compile: bool = False, threads: int | None = None
    ) -> "Hardware":
        """Decide, and set the process up: number of threads (None leaves PyTorch's choice) and denormals.

        Raises ValueError naming the key where something was asked for that this machine cannot do.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"hardware.threads={threads} must be at least 1, or null for PyTorch's own choice.")
        chosen = _choose_device(device)
        chosen_precision, why = _choose_precision(precision, chosen)
        # Before the thread pool starts: its threads inherit the setting. Numbers below 1e-38 cost a CPU a
        # hundred times the others and mean nothing here; Adam's averages of a dead unit's gradient decay into
        # them.
        for kind in (np.float32, np.float64):
            np.finfo(kind)  # NumPy measures its limits on first use, and warns where denormals are zero by then
        torch.set_flush_denormal(True)
        if threads is not None:
            torch.set_num_threads(threads)
        name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"{torch.get_num_threads()} threads"
        compiling = ", compiled" if compile else ""
        reason = f"Hardware: {chosen.type} ({name}), {chosen_precision}{compiling}: {why}"
        return cls(chosen, chosen_precision, compile, reason)

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which matrix products run in the chosen precision."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        """A new gradient scaler; it does nothing except in fp16, whose gradients would vanish below 6e-8."""
        return torch.amp.GradScaler("cuda", enabled=self.precision == "fp16")

    def compile(self, function: Callable[P, R]) -> Callable[P, R]:
        """`function` compiled, or itself where compilation is off.

        Pass a model's method (`model.evaluate`), not the model: the model then stays what it is, and so do
        the names in its state_dict. Raises ValueError at the first call where this machine cannot compile.
        """
        if not self.compiled:
            return function
        from torch._dynamo.exc import TorchDynamoException

        fast = torch.compile(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return fast(*args, **kwargs)
            except TorchDynamoException as error:
                cause = str(error).strip().splitlines()[0]
                raise ValueError(
                    f"hardware.compile=true: torch.compile failed on this machine ({cause}).\n"
                    "Set hardware.compile=false, or install the C++ compiler that PyTorch needs."
                ) from error

        return call

    def seed(self, seed: int) -> None:
        """Seed the global generators of Python, NumPy and PyTorch (every device)."""
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator of code that is not ours
        torch.manual_seed(seed)

    def synchronize(self) -> None:
        """Wait until the device has finished; for timing."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
