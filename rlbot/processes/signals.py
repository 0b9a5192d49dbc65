"""Stopping a run: Ctrl-C or SIGTERM makes it save and stop, a second Ctrl-C stops it at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_MESSAGE = b"\n[OK] Stopping after this iteration, with a checkpoint; Ctrl-C again stops at once\n"
# SIGHUP: the terminal was closed, or its connection was lost
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


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

    previous = {number: signal.signal(number, request) for number in STOP_SIGNALS if not _is_nohup(number)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _is_nohup(number: int) -> bool:
    """Whether the run was started with nohup, so that it goes on when the terminal is closed."""
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN
