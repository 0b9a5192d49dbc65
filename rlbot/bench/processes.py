"""Processes that wait for their turn, play at the same time and report their speed."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, Protocol

import psutil
from threadpoolctl import threadpool_limits

_PATIENCE = 300.0  # s that one process waits for the others; the first time, Numba compiles


class Player(Protocol):
    """If it has a method `close`, that is called at the end."""

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Play for about `seconds`; returns agent steps and the seconds they took."""


class Crew:
    """One process for each of `players`, started by spawn; use it as a context manager."""

    def __init__(self, players: Sequence[Callable[[], Player]], threads: int | None) -> None:
        """players: functions that make a player, each called in its own process. threads: for linear algebra in each
        process; None: the library's default."""
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(len(players))  # kept, since a process opens it by name after its start
        self._connections: list[Connection] = []
        self._processes = []
        for player in players:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, player, self._barrier, threads), name="rlbot-bench")
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()  # the process ends after its turn
        for process in self._processes:
            process.join(timeout=30.0)
            if process.is_alive():
                _kill(psutil.Process(process.pid))
            process.join()

    def ready(self) -> None:
        """Wait until all players are made. Raises the exception of a player."""
        self._receive()

    def play(self, what: str, seconds: float) -> float:
        """Let all processes play at the same time; returns their agent steps a second in total."""
        return float(sum(steps / took for steps, took in self._ask((what, seconds))))

    def peak_memory(self) -> list[list[float]]:
        """For each process: its peak memory in MB, then that of each process that it started."""
        return self._ask(("memory", 0.0))

    def gpu_load(self) -> float | None:
        """Percent of the last moments in which the GPU was busy; None if there is no GPU that reports it."""
        return max((each for each in self._ask(("gpu", 0.0)) if each is not None), default=None)

    def _ask(self, command: tuple[str, float]) -> list[Any]:
        for connection in self._connections:
            connection.send(command)
        return self._receive()

    def _receive(self) -> list[Any]:
        answers = []
        for connection, process in zip(self._connections, self._processes, strict=True):
            try:
                answers.append(connection.recv())
            except (EOFError, OSError) as error:
                process.join(timeout=5.0)
                raise RuntimeError(f"a process of the bench ended with exit code {process.exitcode}") from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _serve(connection: Connection, make: Callable[[], Player], barrier: Any, threads: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    player: Player | None = None
    try:
        with threadpool_limits(threads):
            player = make()
            connection.send(None)
            while True:
                what, seconds = connection.recv()
                if what in _QUESTIONS:
                    connection.send(_QUESTIONS[what]())
                    continue
                barrier.wait(_PATIENCE)
                connection.send(player.play(what, seconds))
    except (EOFError, BrokenPipeError, ConnectionResetError, BrokenBarrierError):  # another process has ended
        pass
    except ValueError as error:  # a fault of the settings
        _send(connection, error)
    except Exception as error:
        _send(connection, RuntimeError(f"{type(error).__name__}: {error}"))
        raise
    finally:
        if close := getattr(player, "close", None):
            close()


def _kill(process: psutil.Process) -> None:
    """Kill a process and all processes that it started."""
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _send(connection: Connection, error: Exception) -> None:
    with suppress(OSError):  # the parent has closed the pipe after an error of another process
        connection.send(error)


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


# Answered at once, without waiting for the other processes.
_QUESTIONS: dict[str, Callable[[], Any]] = {"memory": _peak_memory, "gpu": _gpu_load}
