"""Callbacks of the user's own, which are called at the end of every iteration and may ask for the end of the run."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlbot.training.loop import Progress
from rlbot.values.target import Target, call


class Callbacks:
    """Calls function(metrics, timesteps) of each: `metrics` are the curves of the iteration, a dict of its own.

    A function that returns True, or a reason as text, asks for the end of the run. If one fails, the run ends as well,
    with a checkpoint, and then with an error.
    """

    def __init__(self, targets: Mapping[str, Target]) -> None:
        """Raises ValueError if a function cannot be loaded."""
        self._functions = [
            (f"callback.{name} ({target.name})", target.load(f"callback.{name}")) for name, target in targets.items()
        ]
        self.reason: str | None = None  # why the run ends: which callback, and what it said
        self.failure: str | None = None  # what is wrong with a callback

    def __call__(self, progress: Progress, metrics: Mapping[str, float]) -> None:
        for label, function in self._functions:
            where = f"{label} in iteration {progress.iterations}"
            try:
                told = _reason(call(where, function, dict(metrics), progress.timesteps), label, where)
            except ValueError as error:
                told = self.failure = str(error)
            self.reason = self.reason or told


def _reason(answer: Any, label: str, where: str) -> str | None:
    if answer is None or (isinstance(answer, bool | np.bool_) and not answer):
        return None
    if not isinstance(answer, str | bool | np.bool_):
        kind = type(answer).__name__
        raise ValueError(f"{where} returns {kind}; it must return None, True, or a reason to stop as text")
    return f"{label}: {answer if isinstance(answer, str) and answer.strip() else 'asked for the end of the run'}"
