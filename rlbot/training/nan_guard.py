"""Numbers that are not finite during a run: told, written down with what led to them, and borne up to a limit."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from rlbot.env.nonfinite import NonFinite, NonFiniteCounts

MAX_FILES = 20  # in the run directory: a term that is broken for good must not fill the disk
LARGE = 0.1  # share of the steps of all arenas; where more had to be taken back, the bot learns another game


class BadUpdates(Exception):
    """The run is not to go on. The text says why in a line, and where to look."""


class NanGuard:
    """Takes in every iteration, and ends the run after `max_bad_updates` bad ones in a row.

    Bad is an iteration in which a gradient step could not be taken, or in which more than LARGE of the steps of the
    arenas were taken back. Of every cause the first case in an iteration is written into `folder` (None: nowhere).
    """

    def __init__(self, folder: Path | None, max_bad_updates: int, warn: Callable[[str], None]) -> None:
        self._folder, self._max, self._warn = folder, max_bad_updates, warn
        self._left = 0 if folder is None else MAX_FILES - len(list(folder.glob("*.npz")))
        self._in_a_row = 0
        self._newest: Path | None = None

    def is_good(self, timesteps: int, arena_steps: int, faults: NonFiniteCounts, fault: NonFinite | None) -> bool:
        """Whether the iteration that led to `timesteps` was a good one; `faults` were found in its `arena_steps`,
        `fault` when learning from them. Raises BadUpdates where it was one bad iteration too many."""
        causes = []
        if faults:
            count = sum(found.count for found in faults.values())
            for found in faults.values():
                place = found.first.place
                self._keep(found.first, f"{_step(timesteps)}-arena_{place['arena']}-step_{place['step_of_rollout']}")
            counts = ", ".join(f"{found.count} x {name}" for name, found in faults.items())
            self._warn(f"{count} arenas started anew, as a number was not finite: {counts}{self._see()}")
            if count > LARGE * arena_steps:
                worst = max(faults, key=lambda name: faults[name].count)
                causes.append(f"{worst} was not finite in {faults[worst].count / arena_steps:.0%} of the steps")
        if fault is not None:
            self._keep(fault, f"{_step(timesteps)}-update")
            self._warn(f"Gradient steps were not taken, as a number was not finite: {fault.name}{self._see()}")
            causes.append(f"not finite: {fault.name}")
        self._in_a_row = self._in_a_row + 1 if causes else 0
        if self._in_a_row >= self._max:
            raise BadUpdates(f"{self._in_a_row} bad updates in a row: {'; '.join(causes)}{self._see()}")
        return not causes

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Raises BadUpdates where one of the weights is not finite: they are never saved, and nothing mends them."""
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
            with suppress(OSError):  # half a file
                path.unlink()
            self._warn(f"{path} cannot be written: {error.strerror or error}")
            return
        self._left -= 1
        self._newest = path

    def _see(self) -> str:
        return f"; see {self._newest}" if self._newest is not None else ""


def _step(timesteps: int) -> str:
    return f"step_{timesteps:09d}"
