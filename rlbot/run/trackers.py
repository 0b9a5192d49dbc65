"""Trackers: what records the curves of a run, besides the console. Each is an object with

    log(step, metrics)   a dict of curve to number, at `step` timesteps
    close()

and may have pictures(step, {name: (PNG or GIF, width, height)}) and text(step, name, text). TensorBoard, a CSV file and
Weights & Biases are built in; an object of the user's own is another.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class Tracker(Protocol):
    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class Trackers:
    """Passes everything to all trackers. One that raises an exception is warned of once, with its name, and gets
    nothing more: a tracker never ends a training."""

    def __init__(self, trackers: Sequence[tuple[str, Tracker]], warn: Callable[[str], None]) -> None:
        """`trackers`: each with the name that warnings show."""
        self._trackers, self._warn = list(trackers), warn

    def open(self, name: str, make: Callable[[], Tracker]) -> None:
        """Adds the tracker that `make` returns."""
        self._guarded(name, "the start", lambda: self._trackers.append((name, make())))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._call("log", step, metrics)

    def pictures(self, step: int, pictures: Mapping[str, tuple[bytes, int, int]]) -> None:
        self._call("pictures", step, pictures)

    def text(self, step: int, name: str, text: str) -> None:
        self._call("text", step, name, text)

    def close(self) -> None:
        self._call("close")

    def _call(self, method: str, *arguments: Any) -> None:
        for each in list(self._trackers):
            name, tracker = each
            function = getattr(tracker, method, None)
            if function is not None and not self._guarded(name, method, functools.partial(function, *arguments)):
                self._trackers.remove(each)

    def _guarded(self, name: str, what: str, work: Callable[[], Any]) -> bool:
        """Whether `work()` raised nothing; warns otherwise."""
        try:
            work()
        except (Exception, SystemExit) as error:  # anything may happen in a user's tracker, or in a service
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._warn(f"tracker {name}: {what} failed, it gets nothing more ({reason})")
            return False
        return True
