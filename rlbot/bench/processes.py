"""Processes that wait until it is their turn, play at the same time, and measure how fast they were."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psutil
from threadpoolctl import threadpool_limits

from rlbot.processes.spawn import ChildProcess, Parent, wait_any

_PATIENCE = 300.0  # s that one process waits for the others; the first time, Numba compiles
_LAST_TURN = 30.0  # s that the processes have to finish their turn at the end


class Contestant(Protocol):
    """What is measured. If it has a method `close`, that is called at the end."""

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Play for about `seconds`; returns agent steps and the seconds they took."""


class ContestantProcesses:
    """One process for each of `contestants`, started by spawn; use it as a context manager."""

    def __init__(self, contestants: Sequence[Callable[[], Contestant]], threads: int | None) -> None:
        """contestants: functions that make a contestant, each called in its own process. threads: for linear algebra in
        each process; None: the library's default."""
        self._barrier = multiprocessing.get_context("spawn").Barrier(len(contestants))  # kept: opened by name later
        self._children = [
            ChildProcess(_main, make, self._barrier, threads, name=f"bench process {i}")
            for i, make in enumerate(contestants)
        ]

    def __enter__(self) -> "ContestantProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.hang_up()
        until = time.monotonic() + _LAST_TURN
        for child in self._children:
            child.process.join(max(until - time.monotonic(), 0.0))
            if child.process.is_alive():
                _kill(psutil.Process(child.process.pid))
            child.close()

    def ready(self) -> None:
        """Wait until all are made. Raises the exception of a contestant, and ChildDied if a process ended."""
        self._receive()

    def play(self, what: str, seconds: float) -> float:
        """Let all processes play at the same time; returns their agent steps a second in total. Raises as `ready`."""
        return float(sum(steps / took for steps, took in self._ask("play", what, seconds)))

    def peak_memory(self) -> list[list[float]]:
        """For each process: its peak memory in MB, then that of each process that it started."""
        return self._ask("memory")

    def gpu_load(self) -> float | None:
        """Percent of the last moments in which the GPU was busy; None if there is no GPU that reports it."""
        return max((each for each in self._ask("gpu") if each is not None), default=None)

    def _ask(self, *request: Any) -> list[Any]:
        for child in self._children:
            child.send(request)
        return self._receive()

    def _receive(self) -> list[Any]:
        """One answer of each process. What fails is raised at once, while the others may still wait for it."""
        answers: dict[ChildProcess, Any] = {}
        while waiting := [child for child in self._children if child not in answers]:
            for child in wait_any(waiting):
                answers[child] = child.receive()
        return [answers[child] for child in self._children]


def _main(parent: Parent, make: Callable[[], Contestant], barrier: Any, threads: int | None) -> None:
    with threadpool_limits(threads):
        contestant = make()

        def play(what: str, seconds: float) -> tuple[int, float]:
            barrier.wait(_PATIENCE)
            return contestant.play(what, seconds)

        commands: dict[str, Callable[..., Any]] = {"play": play, "memory": _peak_memory, "gpu": _gpu_load}
        try:
            parent.send(None)
            for command, *arguments in parent.requests():
                parent.answer(partial(commands[command], *arguments))
        finally:
            if close := getattr(contestant, "close", None):
                close()


def _kill(process: psutil.Process) -> None:
    """Kill a process and all processes that it started."""
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _peak_memory() -> list[float]:
    """Peak memory in MB of this process and of those it started; on macOS, which keeps no peak, the current memory.
    Memory that processes share counts in each that touched it."""
    own = psutil.Process()
    children = [psutil.Process(child.pid) for child in multiprocessing.active_children()]
    return [_peak(process) / 1e6 for process in (own, *children)]


def _peak(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return float(line.split()[1]) * 1024
    memory = process.memory_info()
    return float(getattr(memory, "peak_wset", memory.rss))  # peak_wset: Windows


def _gpu_load() -> float | None:
    from rlbot.hardware import gpu_stats  # imports PyTorch, which processes that only step arenas do not need

    stats = gpu_stats()
    return None if stats is None else stats["utilization"]
