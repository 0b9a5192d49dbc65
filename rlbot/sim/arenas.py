"""A batch of arenas as everything above sees it; `rlbot.sim.rocketsim2` and `rlbot.sim.rocketsim3` play."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rlbot.sim.placement import Placement
from rlbot.sim.state import MAX_CARS, State

TICKS_PER_SECOND = 120
CONTROLS = 8  # throttle, steer, pitch, yaw, roll, jump, boost, handbrake


class Arenas(ABC):
    """N soccar arenas of given team sizes, stepped together.

    `slots`: the occupied slots of each arena. `car_arena` and `car_slot`, both (C,), say which arena and slot each of
    the C cars present has: ordered by arena, then slot. What follows a placement or a restored snapshot is a function
    of it and of the controls alone, bit for bit, in any arena and process.
    """

    broken: Mapping[int, str] = {}  # the arenas that the engine gave up in the last step, and why; they show NaN

    def __init__(self, team_sizes: Sequence[tuple[int, int]], tick_skip: int, action_delay: int = 0) -> None:
        """`team_sizes`: (blue, orange) cars of each arena, at most 2 a team; `action_delay`: ticks of a step during
        which the previous controls still apply."""
        assert all(0 <= size <= 2 for sizes in team_sizes for size in sizes), team_sizes
        assert 0 <= action_delay < tick_skip, (action_delay, tick_skip)
        self.tick_skip, self.action_delay = tick_skip, action_delay
        self.slots = [[*range(blue), *range(2, 2 + orange)] for blue, orange in team_sizes]
        self.present = np.zeros((len(self.slots), MAX_CARS), bool)
        for n, occupied in enumerate(self.slots):
            self.present[n, occupied] = True
        self.car_arena, self.car_slot = (index.astype(np.int64) for index in np.nonzero(self.present))

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def num_cars(self) -> int:
        return len(self.car_arena)

    def state(self, memory: NDArray[np.float32] | None = None) -> State:
        """An empty state for this batch, with `present` filled in."""
        state = State(len(self), memory)
        state.present[:] = self.present
        return state

    @abstractmethod
    def step(self, controls: NDArray[np.float32], before: State, after: State) -> None:
        """Advance every arena by tick_skip ticks under `controls` (C, 8) and read the result into `after`. `before` is
        the state at the start of the step."""

    @abstractmethod
    def place(self, n: int, placement: Placement, state: State) -> None:
        """Start arena n afresh and read it into `state`: all pads full; the counts of the cars begin anew, the score
        goes on."""

    @abstractmethod
    def rebuild(self, n: int) -> None:
        """Make arena n, in which there was NaN, fit to be placed next."""

    @abstractmethod
    def read(self, n: int, state: State) -> None:
        """Copy the whole state of arena n, pad timers included, into `state`."""

    @abstractmethod
    def details(self) -> NDArray[np.void]:
        """More about the cars after a step: records `DETAILS` (C,). In RocketSim v2 ticks that touch the ball are
        counted from the first call on, and from one call to the next."""

    @abstractmethod
    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """All that decides how the arenas go on. Every array has a row for each arena, or for each car where its name
        begins with "car_"; the rows of "ball" begin with the ball's position, velocity and spin."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, NDArray[np.float32]]) -> None:
        """Put every arena into the state of a `snapshot()` of the same engine; counts begin anew, scores go on. Raises
        ValueError where the snapshot is of another number of arenas."""
