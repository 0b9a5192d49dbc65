"""The initial state of an episode, for any engine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


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

    def turned(self) -> "CarPlacement":
        """Rotated by half a turn about the middle of the field."""
        return replace(
            self, pos=_turn(self.pos), yaw=self.yaw + math.pi, vel=_turn(self.vel), ang_vel=_turn(self.ang_vel)
        )


@dataclass(frozen=True)
class Placement:
    """The initial state of an episode: the ball, and a car for each occupied slot, in the order of the slots. `pads`:
    the seconds until each of the 34 boost pads is back, in the order of `PAD_POSITION`; if empty, all pads are full."""

    cars: Sequence[CarPlacement]
    ball_pos: tuple[float, float, float] = (0.0, 0.0, 93.15)
    ball_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ball_ang_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pads: Sequence[float] = ()

    def turned(self) -> "Placement":
        """Rotated by half a turn about the middle of the field; the cars stay in their order."""
        pos, vel, spin = (_turn(each) for each in (self.ball_pos, self.ball_vel, self.ball_ang_vel))
        return Placement([car.turned() for car in self.cars], pos, vel, spin, self.pads[::-1])


def angles(forward: NDArray[np.float64], up: NDArray[np.float64]) -> tuple[float, float, float]:
    """Yaw, pitch and roll, rad, of a car with these axes (3,)."""
    right = np.cross(up, forward)
    yaw, pitch = np.arctan2(forward[1], forward[0]), np.arctan2(forward[2], np.hypot(forward[0], forward[1]))
    return float(yaw), float(pitch), float(np.arctan2(-right[2], up[2]))


def _turn(vector: tuple[float, float, float]) -> tuple[float, float, float]:
    return -vector[0], -vector[1], vector[2]
