"""Ending a run on request: Ctrl-C or SIGTERM asks it to save and stop, a second Ctrl-C ends it at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_MESSAGE = b"\n[OK] Stopping after this iteration, with a checkpoint; Ctrl-C again stops at once\n"


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether the run was asked to stop. The handlers of before return at the end.

    The second SIGINT raises KeyboardInterrupt where the program is. Use it in the main thread only.
    """
    asked = False

    def request(number: int, _: Any) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not asked:
            os.write(2, _MESSAGE)  # unlike print, safe wherever the signal interrupts the program
        asked = True

    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
