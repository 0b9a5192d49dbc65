"""The interface of a batch of arenas; `rlbot.sim.rocketsim2` and `rlbot.sim.rocketsim3` implement it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rlbot.sim.placement import Placement
from rlbot.sim.state import MAX_TEAM, State, team_slots_for

TICKS_PER_SECOND = 120
CONTROLS = 8  # throttle, steer, pitch, yaw, roll, jump, boost, handbrake


class Arenas(ABC):
    """N soccar arenas of given team sizes, stepped together.

    `slots`: the occupied slots of each arena. `car_arena`, `car_slot` and `car_team` (C,): the arena, the slot and the
    team of each of the C cars, ordered by arena, then slot. The states after a placement or a restored snapshot depend
    only on it and on the controls: they are the same, bit for bit, in any arena and process.
    """

    broken: Mapping[int, str] = {}  # arenas that broke in the last step, and why; their states are NaN

    def __init__(
        self,
        team_sizes: Sequence[tuple[int, int]],
        tick_skip: int,
        action_delay: int = 0,
        team_slots: int | None = None,
        orange_first: Sequence[bool] = (),
    ) -> None:
        """`team_sizes`: (blue, orange) cars of each arena, at most MAX_TEAM in a team; `action_delay`: ticks at the
        start of a step in which the previous controls still apply; `team_slots`: those of a larger batch of which these
        arenas are a part (None: as many as they need themselves); `orange_first`: the arenas to which orange's cars are
        added before blue's (by default none). It matters only in RocketSim v2, where the car that was added last wins a
        head-on collision at full speed (docs/physics.md)."""
        assert all(0 <= size <= MAX_TEAM for sizes in team_sizes for size in sizes), team_sizes
        assert 0 <= action_delay < tick_skip, (action_delay, tick_skip)
        self.team_sizes, self.tick_skip, self.action_delay = list(team_sizes), tick_skip, action_delay
        self.team_slots = half = team_slots_for(team_sizes) if team_slots is None else team_slots
        self.slots = [[*range(blue), *range(half, half + orange)] for blue, orange in team_sizes]
        self.present = np.zeros((len(self.slots), 2 * half), bool)
        for n, occupied in enumerate(self.slots):
            self.present[n, occupied] = True
        self.car_arena, self.car_slot = (index.astype(np.int64) for index in np.nonzero(self.present))
        self.car_team = self.car_slot // half
        self.orange_first = [*orange_first] or [False] * len(self.slots)

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def num_cars(self) -> int:
        return len(self.car_arena)

    def state(self, memory: NDArray[np.float32] | None = None) -> State:
        """Returns a state of zeros for this batch, with `present` filled in."""
        state = State(len(self), memory, self.team_slots)
        state.present[:] = self.present
        return state

    @abstractmethod
    def step(self, controls: NDArray[np.float32], before: State, after: State) -> None:
        """Advances every arena by tick_skip ticks with `controls` (C, 8), and reads the result into `after`. `before`
        is the state at the start of the step."""

    @abstractmethod
    def place(self, n: int, placement: Placement, state: State) -> None:
        """Sets arena n to its initial state and reads it into `state`. Counts start at 0, the score goes on."""

    @abstractmethod
    def rebuild(self, n: int) -> None:
        """Repairs arena n, whose state was NaN, so that `place` works again."""

    @abstractmethod
    def read(self, n: int, state: State) -> None:
        """Copies the whole state of arena n, with the pad timers, into `state`."""

    @abstractmethod
    def details(self) -> NDArray[np.void]:
        """More about the cars after a step: records `DETAILS` (C,). In RocketSim v2 ticks that touch the ball are
        counted from the first call on, and from one call to the next."""

    @abstractmethod
    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """Returns everything that the next states depend on. Every array has a row for each arena, or for each car if
        its name begins with "car_"; the rows of "ball" begin with its position, velocity and angular velocity."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, NDArray[np.float32]]) -> None:
        """Sets every arena to a `snapshot()` of the same engine. The counts of the cars start at 0, the scores go on.
        Raises ValueError if the snapshot has another number of arenas."""
