"""Stopping a run: Ctrl-C or SIGTERM makes it save and stop, a second Ctrl-C stops it at once."""

import atexit
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

_MESSAGE = b"\n[OK] Stopping after this iteration, with a checkpoint; Ctrl-C again stops at once\n"
# SIGHUP: the terminal was closed, or its connection was lost
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stop_on_signals(quiet: bool = False) -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether the run was asked to stop. Restores the former handlers at the end.

    The second SIGINT raises KeyboardInterrupt. `quiet`: prints nothing on stderr. Use it in the main thread only.
    """
    asked = False

    def request(number: int, _: Any) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not asked and not quiet:
            with suppress(OSError):  # stderr may be closed
                os.write(2, _MESSAGE)  # unlike print, safe in a signal handler
        asked = True

    previous = {number: signal.signal(number, request) for number in _SIGNALS if not _is_nohup(number)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _is_nohup(number: int) -> bool:
    """Whether the run was started with nohup, so that it goes on when the terminal is closed."""
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN


def start_apart(process: BaseProcess) -> None:
    """Starts a child process that ignores the signals above, which a terminal or a batch queue sends to all processes
    of a run: only this process handles them. The child ends when this process ends."""
    if hasattr(signal, "pthread_sigmask"):  # the child inherits the mask, so they are blocked from its first moment
        resource_tracker.ensure_running()  # otherwise process.start() starts it, and that unblocks the signals
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        process.start()
    atexit.register(process.kill)  # at exit multiprocessing sends SIGTERM, which the child ignores


def end(process: BaseProcess) -> None:
    """Kills a process that `start_apart` started, whatever it is doing."""
    atexit.unregister(process.kill)
    process.kill()
    process.join(timeout=10.0)


def leave_signals() -> None:
    """Ignores the signals. A process that `start_apart` started calls this first; Windows has no other way."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
