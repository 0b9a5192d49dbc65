"""The initial state of an episode, for any engine."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CarPlacement:
    """The initial state of one car. Position uu, velocity uu/s, angular velocity rad/s, angles rad, boost 0 to 100."""

    pos: tuple[float, float, float]
    yaw: float
    pitch: float = 0.0
    roll: float = 0.0
    vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ang_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    boost: float = 100 / 3


@dataclass(frozen=True)
class Placement:
    """The initial state of an episode: the ball, and a car for each occupied slot, in the order of the slots."""

    cars: Sequence[CarPlacement]
    ball_pos: tuple[float, float, float] = (0.0, 0.0, 93.15)
    ball_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ball_ang_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
