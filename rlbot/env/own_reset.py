"""A reset of the user's own: a function of a generator and the team sizes that says how an episode starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.sim import PAD_COOLDOWN, CarPlacement, Placement
from rlbot.values.target import PartError, call

FIELD_X, FIELD_Y, FIELD_Z = 4096.0, 5120.0, 2044.0
CORNER = 8064.0  # |x| + |y| on the diagonal walls of the corners
_GOAL_X, _GOAL_Y, _GOAL_Z = 893.0, 6000.0, 643.0

Sizes = tuple[int, int]  # blue and orange cars of an arena
Function = Callable[[np.random.Generator, Sizes], Placement]


@dataclass(frozen=True)
class OwnReset:
    """`function`(generator, (blue, orange)) returns a Placement with a car for each of blue's, then of orange's.
    `share`: its weight among all resets. `label`: what messages call it."""

    share: float
    function: Function
    label: str

    def draw(self, rng: np.random.Generator, sizes: Sizes, arena: int = 0) -> Placement:
        """Draw a start. Raises PartError, which names the arena too, if the function raises an exception or returns
        something else than a Placement of so many cars, inside the field, of finite numbers."""
        where = f"{self.label}, arena {arena},"
        return _checked(call(where, self.function, rng, sizes), sum(sizes), where)


def _checked(given: Any, num_cars: int, where: str) -> Placement:
    """The placement as plain numbers, which both engines take."""
    if not isinstance(given, Placement):
        raise PartError(f"{where} returns {type(given).__name__}; it must be a rlbot.sim.Placement")
    if len(given.cars) != num_cars:
        raise PartError(f"{where} places {len(given.cars)} cars; the arena has {num_cars}")
    cars = [_checked_car(car, f"{where} cars[{i}]") for i, car in enumerate(given.cars)]
    pads = _numbers(given.pads, len(PAD_COOLDOWN), f"{where} pads") if len(given.pads) else ()
    for i, (left, most) in enumerate(zip(pads, PAD_COOLDOWN.tolist(), strict=False)):
        if not 0 <= left <= most:
            raise PartError(f"{where} pads[{i}]={left:g}: must be 0 to {most:g}, the seconds until it is back")
    pos, vel, spin = (
        _numbers(getattr(given, name), 3, f"{where} {name}") for name in ("ball_pos", "ball_vel", "ball_ang_vel")
    )
    _require_inside(pos, f"{where} ball_pos")
    return Placement(cars, pos, vel, spin, pads)


def _checked_car(given: Any, where: str) -> CarPlacement:
    if not isinstance(given, CarPlacement):
        raise PartError(f"{where} is {type(given).__name__}; it must be a rlbot.sim.CarPlacement")
    pos, vel, spin = (_numbers(getattr(given, name), 3, f"{where}.{name}") for name in ("pos", "vel", "ang_vel"))
    yaw, pitch, roll, boost = (
        _numbers([getattr(given, name)], 1, f"{where}.{name}")[0] for name in ("yaw", "pitch", "roll", "boost")
    )
    _require_inside(pos, f"{where}.pos")
    if not 0 <= boost <= 100:
        raise PartError(f"{where}.boost={boost:g}: must be 0 to 100")
    return CarPlacement(pos, yaw, pitch, roll, vel, spin, boost)


def _numbers(given: Any, count: int, where: str) -> Any:
    """`given` as a tuple of `count` floats."""
    try:
        values: NDArray[np.float64] = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise PartError(f"{where}={given!r}: must be numbers") from error
    if values.shape != (count,):
        raise PartError(f"{where} is of shape {values.shape}; it must be ({count},)")
    if not np.isfinite(values).all():
        raise PartError(f"{where}={values.tolist()}: must be finite numbers")
    return tuple(values.tolist())


def is_inside(pos: Sequence[float]) -> bool:
    """Whether a point (x, y, z) is in the field or in one of its goals."""
    x, y, z = abs(pos[0]), abs(pos[1]), pos[2]
    field = x <= FIELD_X and y <= FIELD_Y and x + y <= CORNER and 0 <= z <= FIELD_Z
    return field or (x <= _GOAL_X and y <= _GOAL_Y and 0 <= z <= _GOAL_Z)


def _require_inside(pos: tuple[float, float, float], where: str) -> None:
    if not is_inside(pos):
        shown = ", ".join(f"{number:g}" for number in pos)
        raise PartError(f"{where}=({shown}) is outside the field: |x| <= 4096, |y| <= 5120, 0 <= z <= 2044")
