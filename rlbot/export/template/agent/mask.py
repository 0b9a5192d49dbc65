"""Which actions the policy chooses from: those whose buttons do something. As in training, but from the observation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

JUMP, BOOST = 5, 6  # their places in the controls
ROOF_HEIGHT = 150.0  # uu; lower, a car that is upside down may lie on its roof
SPEED = 2300.0  # positions are divided by it


class Mask:
    """The mask of a table of actions."""

    def __init__(self, observation: Any, table: NDArray[np.float32]) -> None:
        """`observation`: names and sizes of its parts, "observation" of the manifest. `table`: (K, 8)."""
        names = [name for name, _ in observation]
        first = dict(zip(names, np.cumsum([0, *(size for _, size in observation)]).tolist(), strict=False))
        self._height, self._up = first["car.pos"] + 2, first["car.up"] + 2
        self._boost, self._has_flip = first["car.boost"], first["car.has_flip"]
        self._has_jumped, self._air_time = first["car.has_jumped"], first["car.air_time_since_jump"]
        self._boosts, self._jumps = table[:, BOOST] > 0, table[:, JUMP] > 0

    def allowed(self, observation: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Returns which actions (K,) may be chosen for an observation."""
        rises = observation[self._has_jumped] > 0 and observation[self._air_time] == 0
        on_roof = observation[self._up] < 0 and observation[self._height] < ROOF_HEIGHT / SPEED
        allowed = np.ones(len(self._jumps), np.bool_)
        if observation[self._boost] <= 0:
            allowed &= ~self._boosts
        if not (observation[self._has_flip] > 0 or rises or on_roof):
            allowed &= ~self._jumps
        return allowed if allowed.any() else ~allowed
