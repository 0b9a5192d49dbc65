"""The controls a car takes, and the table of 90 that bots in the field are trained with.

Controls are 8 numbers: throttle, steer, pitch, yaw, roll in [-1, 1]; jump, boost, handbrake pressed above 0.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

CONTROL_NAMES = ("throttle", "steer", "pitch", "yaw", "roll", "jump", "boost", "handbrake")


def _ground_rows() -> list[tuple[int, ...]]:
    """24 rows: boost only at full throttle; yaw follows steer, so that a row keeps its meaning once the car takes
    off."""
    rows: list[tuple[int, ...]] = []
    for throttle, steer, boost, handbrake in product((-1, 0, 1), (-1, 0, 1), (0, 1), (0, 1)):
        if boost and throttle != 1:
            continue
        rows.append((throttle, steer, 0, steer, 0, 0, boost, handbrake))
    return rows


def _air_rows() -> list[tuple[int, ...]]:
    """66 rows: no jump with yaw (a sideways flip is made by roll), and none that the ground rows already have."""
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
