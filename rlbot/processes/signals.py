"""Ending a run on request: Ctrl-C or SIGTERM asks it to save and stop, a second Ctrl-C ends it at once."""

import atexit
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

_MESSAGE = b"\n[OK] Stopping after this iteration, with a checkpoint; Ctrl-C again stops at once\n"
# SIGHUP: the terminal was closed, or the connection to it lost
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stop_on_signals(quiet: bool = False) -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether the run was asked to stop. The handlers of before return at the end.

    The second SIGINT raises KeyboardInterrupt where the program is. `quiet`: without a line to stderr. Use it in the
    main thread only.
    """
    asked = False

    def request(number: int, _: Any) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not asked and not quiet:
            with suppress(OSError):  # nobody reads it any more
                os.write(2, _MESSAGE)  # unlike print, safe wherever the signal interrupts the program
        asked = True

    previous = {number: signal.signal(number, request) for number in _SIGNALS if not _is_nohup(number)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _is_nohup(number: int) -> bool:
    """Whether the user wants the run to go on when the terminal is closed."""
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN


def start_apart(process: BaseProcess) -> None:
    """Starts a process of the run, which leaves the signals above to this one: a terminal and a batch queue send them
    to every process of a run. It ends with this one."""
    if hasattr(signal, "pthread_sigmask"):  # blocked here, they are blocked in the new process from its first moment
        resource_tracker.ensure_running()  # process.start() would start it, and that unblocks them
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        process.start()
    atexit.register(process.kill)  # multiprocessing's own SIGTERM at exit would not be heeded


def end(process: BaseProcess) -> None:
    """Ends a process that was started apart, whatever it is doing."""
    atexit.unregister(process.kill)
    process.kill()
    process.join(timeout=10.0)


def leave_signals() -> None:
    """What a process that was started apart begins with: Windows has no other way."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
