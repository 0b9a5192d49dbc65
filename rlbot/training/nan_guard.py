"""Handles NaN and infinity during a run: reports them, saves the data that led to them, and ends the run if too many
iterations in a row are bad."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from rlbot.env.nonfinite import NonFinite, NonFiniteCounts

MAX_FILES = 20  # in the run directory: a term that always fails must not fill the disk
LARGE = 0.1  # share of the arenas' steps; if more of them are not finite, the bot would learn a different game


class BadUpdates(Exception):
    """Training must stop. The text is one line that says why, and which file to look at."""


class NanGuard:
    """Looks at every iteration, and raises BadUpdates after `max_bad_updates` bad iterations in a row.

    An iteration is bad if a gradient step could not be taken, or if more than LARGE of the arenas' steps were not
    finite and their arenas were reset. The first case of each cause in an iteration is saved in `folder`; None: not
    saved.
    """

    def __init__(self, folder: Path | None, max_bad_updates: int, warn: Callable[[str], None]) -> None:
        self._folder, self._max, self._warn = folder, max_bad_updates, warn
        self._left = 0 if folder is None else MAX_FILES - len(list(folder.glob("*.npz")))
        self._in_a_row = 0
        self._newest: Path | None = None

    def is_good(self, timesteps: int, arena_steps: int, faults: NonFiniteCounts, fault: NonFinite | None) -> bool:
        """Returns whether the iteration that ended at `timesteps` was good. `faults` were found while it collected its
        `arena_steps`, `fault` in its update. Raises BadUpdates if it was the last bad iteration allowed in a row."""
        causes = []
        if faults:
            count = sum(found.count for found in faults.values())
            for found in faults.values():
                place = found.first.place
                self._keep(found.first, f"{_step(timesteps)}-arena_{place['arena']}-step_{place['step_of_rollout']}")
            counts = ", ".join(f"{found.count} x {name}" for name, found in faults.items())
            self._warn(f"{count} arenas were reset because a number was not finite: {counts}{self._see()}")
            if count > LARGE * arena_steps:
                worst = max(faults, key=lambda name: faults[name].count)
                causes.append(f"{worst} was not finite in {faults[worst].count / arena_steps:.0%} of the steps")
        if fault is not None:
            self._keep(fault, f"{_step(timesteps)}-update")
            self._warn(f"Gradient steps were not taken because a number was not finite: {fault.name}{self._see()}")
            causes.append(f"not finite: {fault.name}")
        self._in_a_row = self._in_a_row + 1 if causes else 0
        if self._in_a_row >= self._max:
            raise BadUpdates(f"{self._in_a_row} bad updates in a row: {'; '.join(causes)}{self._see()}")
        return not causes

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Raises BadUpdates if a weight is not finite: such weights are never saved, and training can't repair them."""
        for name, each in weights.items():
            if not bool(torch.isfinite(each).all()):
                raise BadUpdates(f"the weights of {name} are not finite and were not saved{self._see()}")

    def _keep(self, fault: NonFinite, name: str) -> None:
        if self._folder is None or self._left <= 0:
            return
        path = self._folder / f"{name}.npz"
        try:
            self._folder.mkdir(exist_ok=True)
            fault.save(path)
        except OSError as error:
            with suppress(OSError):  # removes an incomplete file
                path.unlink()
            self._warn(f"{path} cannot be written: {error.strerror or error}")
            return
        self._left -= 1
        self._newest = path

    def _see(self) -> str:
        return f"; see {self._newest}" if self._newest is not None else ""


def _step(timesteps: int) -> str:
    return f"step_{timesteps:09d}"
