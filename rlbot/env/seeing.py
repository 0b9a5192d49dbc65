"""What an observation of the user's own gets: the cars that observe, and vectors along their axes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.sim import State

Floats = NDArray[np.float32]


class Cars(NamedTuple):
    """The K cars that observe: the arena and the slot of each (K,), the controls of its last step (K, 8), and the sign
    of its team (K,): 1 for blue, -1 for orange, which is what x and y are to be multiplied by to see as blue does."""

    arena: NDArray[np.int64]
    slot: NDArray[np.int64]
    controls: Floats
    sign: Floats

    def of(self, field: Floats) -> Floats:
        """The rows of these cars in a field of the state (N, P, ...), such as `state.car_pos`."""
        return field[self.arena, self.slot]


def local(state: State, cars: Cars, vectors: Floats) -> Floats:
    """Vectors (K, 3) of the world along each car's own axes: forward, right, up."""
    axes = (cars.of(each) for each in (state.car_forward, state.car_right, state.car_up))
    return np.stack([(axis * vectors).sum(axis=1) for axis in axes], axis=1)
