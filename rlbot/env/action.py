"""The controls of a car, and the table of 90 actions that most Rocket League bots are trained with.

Controls are 8 numbers: throttle, steer, pitch, yaw and roll are in [-1, 1]; jump, boost and handbrake are pressed if
they are above 0.
"""

from itertools import product
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

CONTROL_NAMES = ("throttle", "steer", "pitch", "yaw", "roll", "jump", "boost", "handbrake")
_LARGEST = np.finfo(np.float32).max
_ONE = np.float32(1.0)


def _ground_rows() -> list[tuple[int, ...]]:
    """24 rows: boost only at full throttle; yaw equals steer, so that a row means the same after the car takes off."""
    rows: list[tuple[int, ...]] = []
    for throttle, steer, boost, handbrake in product((-1, 0, 1), (-1, 0, 1), (0, 1), (0, 1)):
        if boost and throttle != 1:
            continue
        rows.append((throttle, steer, 0, steer, 0, 0, boost, handbrake))
    return rows


def _air_rows() -> list[tuple[int, ...]]:
    """66 rows: no jump with yaw (roll makes the sideways flip), and no row that the ground rows already have."""
    rows: list[tuple[int, ...]] = []
    for pitch, yaw, roll, jump, boost in product((-1, 0, 1), (-1, 0, 1), (-1, 0, 1), (0, 1), (0, 1)):
        if jump and yaw != 0:
            continue
        if pitch == roll == jump == 0:
            continue
        handbrake = int(bool(jump and (pitch or yaw or roll)))
        rows.append((boost, yaw, pitch, yaw, roll, jump, boost, handbrake))
    return rows


ACTION_TABLE: NDArray[np.float32] = np.array(_ground_rows() + _air_rows(), dtype=np.float32)  # (90, 8)


def choose_controls(
    given: Any, out: NDArray[np.float32], name: str = "actions", table: NDArray[np.float32] = ACTION_TABLE
) -> None:
    """Write the rows of `table` (K, 8) that `given` (C,) or () chooses into `out` (C, 8) or (8,).

    Raises ValueError if `given` has another shape or holds anything but whole numbers from 0 to K - 1; `out` then stays
    unchanged. `name`: what error messages call `given`.
    """
    choices, shape, most = np.asarray(given), out.shape[:-1], len(table) - 1
    whose = "ACTION_TABLE" if table is ACTION_TABLE else "the action table"
    if choices.shape != shape:
        what = f" of shape {choices.shape}" if choices.ndim else f"={given!r}"
        raise ValueError(f"{name}{what}: must be of shape {shape}, the number of a row of {whose} for each car")
    if choices.dtype.kind not in "iu" or (choices.size and not 0 <= choices.min() <= choices.max() <= most):
        raise ValueError(f"{name}={given!r}: must be whole numbers from 0 to {most}, rows of {whose}")
    out[:] = table[choices]


Table = tuple[tuple[float, ...], ...]  # the rows of an action table of the user's own


def checked_table(given: Any, name: str) -> Table:
    """An action table (K, 8) as plain numbers. Raises ValueError, which begins with `name`, if it is anything else than
    two or more rows of eight controls in [-1, 1]."""
    try:
        table = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} returns {type(given).__name__}; it must be an array of controls (K, 8)") from error
    if table.ndim != 2 or table.shape[1] != 8 or len(table) < 2:
        raise ValueError(f"{name} is of shape {table.shape}; it must be (K, 8), the controls of K >= 2 actions")
    wrong = np.argwhere(~(np.abs(table) <= 1))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(f"{name}: row {row} has {CONTROL_NAMES[column]}={table[row, column]:g}; must be in [-1, 1]")
    return tuple(tuple(row) for row in table.tolist())


class NonFiniteControls(ValueError):
    """The controls hold NaN or infinity. `row` is the first row of the given array that does."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message, row)
        self.row = row

    def __str__(self) -> str:
        return str(self.args[0])


@njit(cache=True)
def _take(controls, out):  # type: ignore[no-untyped-def]
    """Write `controls` into `out`, clipped to [-1, 1], and return -1. If a number is NaN or infinite, return the index
    of the first one and leave `out` unchanged."""
    count = 0
    for i in range(len(controls)):  # no early exit, so that the loop is vectorized
        count += not (abs(controls[i]) <= _LARGEST)
    if count:
        for i in range(len(controls)):
            if not (abs(controls[i]) <= _LARGEST):
                return i
    for i in range(len(controls)):
        out[i] = min(max(controls[i], -_ONE), _ONE)
    return -1


def take_controls(given: Any, out: NDArray[np.float32], name: str = "actions") -> None:
    """Write the controls `given` into `out` (C, 8) or (8,), clipped to [-1, 1].

    Raises ValueError if `given` has another shape than `out` or does not hold numbers, and NonFiniteControls if a
    number is NaN or infinite; `out` then stays unchanged. `name`: what error messages call `given`.
    """
    try:
        controls = np.asarray(given, np.float32, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={given!r}: must be an array of numbers of shape {out.shape}") from error
    if controls.shape != out.shape:
        what = f" of shape {np.shape(given)}" if np.ndim(given) else f"={given!r}"
        raise ValueError(f"{name}{what}: must be of shape {out.shape}, the 8 controls of a car in a row")
    flat = controls.reshape(-1)
    if (at := _take(flat, out.reshape(-1))) >= 0:
        row, column = divmod(int(at), 8)
        which = f"{name}[{row}]" if out.ndim > 1 else name
        raise NonFiniteControls(f"{which} holds {flat[at]} for {CONTROL_NAMES[column]}: must be finite numbers", row)
