"""An ending of the user's own: a function of the states before and after a step that says which episodes end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.sim import State
from rlbot.values.target import PartError, call

# Values of `BatchEnv.ended` for such an episode. If it is truncated, its last state keeps a value.
TERMINATED, TRUNCATED = 5, 6
TERMINAL = (1, 2, TERMINATED)  # all values of terminated episodes: blue scored, orange scored, and this


class Clocks(NamedTuple):
    """Seconds, (N,) each: since the episode began, and since a car last touched the ball in it."""

    episode: NDArray[np.float64]
    untouched: NDArray[np.float64]


@dataclass(frozen=True)
class OwnEnding:
    """`function`(before, after, clocks) returns (terminated, truncated), (N,) booleans each, or False for none.
    `label`: what messages call it."""

    function: Callable[[State, State, Clocks], Any]
    label: str

    def find(self, before: State, after: State, clocks: Clocks) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(terminated, truncated), (N,) each. Raises PartError if the function raises an exception, changes a state or
        a clock, or returns something else."""
        found = call(self.label, self.function, before.read_only(), after.read_only(), _read_only(clocks))
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise PartError(f"{self.label} returns {_shown(found)}; it must be (terminated, truncated)")
        return self._checked(found[0], "terminated", len(after)), self._checked(found[1], "truncated", len(after))

    def _checked(self, given: Any, name: str, count: int) -> NDArray[np.bool_]:
        values = np.asarray(given)
        if values.dtype != np.bool_ or values.shape not in ((), (count,)):
            must = f"it must be booleans of shape (arenas,) = ({count},), or False"
            raise PartError(f"{self.label} returns {_shown(values)} as {name}; {must}")
        return np.broadcast_to(values, (count,))


def end(
    endings: Sequence[OwnEnding], before: State, after: State, clocks: Clocks, ended: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How each episode ends (N,), `ended` (N,) being how it ends without `endings`: a goal comes before them, and so
    does a step that was undone; a limit comes before TRUNCATED."""
    terminated, truncated = np.zeros(len(ended), np.bool_), np.zeros(len(ended), np.bool_)
    for ending in endings:
        stops, cuts = ending.find(before, after, clocks)
        terminated |= stops
        truncated |= cuts
    own = np.where(terminated, TERMINATED, np.where(truncated & (ended == 0), TRUNCATED, ended))
    return np.where((ended == 0) | (ended == 3), own, ended)


def _read_only(clocks: Clocks) -> Clocks:
    for clock in clocks:
        clock.flags.writeable = False
    return clocks


def _shown(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
