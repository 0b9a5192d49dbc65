"""RocketSim v3: the extension in `native/`, where it is built."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rlbot_native
from numpy.typing import NDArray

from rlbot.sim import arenas
from rlbot.sim.placement import Placement
from rlbot.sim.state import ARENA, ARENA_WIDTH, CAR, CAR_WIDTH, MAX_CARS, PAD_POSITION, State

VERSION: str = rlbot_native.ROCKETSIM


def check_layout() -> None:
    """Raise ValueError where the extension writes other rows than those of a state: it was built from other sources."""
    here = [
        {name: int(record.fields[name][1]) // 4 for name, _ in layout}  # type: ignore[index]
        for record, layout in ((ARENA, rlbot_native.ARENA_LAYOUT), (CAR, rlbot_native.CAR_LAYOUT))
        if record.names and {name for name, _ in layout} <= {*record.names}
    ]
    built = [dict(rlbot_native.ARENA_LAYOUT), dict(rlbot_native.CAR_LAYOUT)]
    if here != built or (rlbot_native.ARENA_WIDTH, rlbot_native.CAR_WIDTH) != (ARENA_WIDTH, CAR_WIDTH):
        raise ValueError(
            "env.engine: rlbot_native was built from other sources than these: build it again (make, or\n"
            "python -m pip install ./native), or play on the other engine with env.engine=rocketsim2"
        )


def load_meshes(root: Path) -> None:
    """Load ROOT/soccar/*.cmf. Raises RuntimeError for broken or incomplete ones."""
    check_layout()
    try:
        rlbot_native.load_meshes(str(root))
    except ValueError as error:
        raise RuntimeError(str(error)) from error


class Arenas(arenas.Arenas):
    """N games of the extension, which steps them without the GIL and writes into the state itself."""

    def __init__(self, team_sizes: Sequence[tuple[int, int]], tick_skip: int, action_delay: int = 0) -> None:
        super().__init__(team_sizes, tick_skip, action_delay)
        self._games = rlbot_native.Games(self.slots, MAX_CARS, PAD_POSITION.tolist())

    def step(self, controls: NDArray[np.float32], before: State, after: State) -> None:
        broken = self._games.step(controls, self.action_delay, self.tick_skip, after.arena_rows, after.car_rows)
        self.broken = dict(broken)

    def place(self, n: int, placement: Placement, state: State) -> None:
        """Raises ValueError for what is not finite or outside the field."""
        ball = np.array([placement.ball_pos, placement.ball_vel, placement.ball_ang_vel], np.float32).ravel()
        cars = [(*c.pos, c.yaw, c.pitch, c.roll, *c.vel, *c.ang_vel, c.boost) for c in placement.cars]
        self._games.place(n, ball, np.array(cars, np.float32).reshape(len(cars), 13))
        self.read(n, state)

    def rebuild(self, n: int) -> None:
        """Nothing: every placement begins with a clone of a new arena."""

    def read(self, n: int, state: State) -> None:
        self._games.read(n, state.arena_rows, state.car_rows)

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        arena = np.empty((len(self), rlbot_native.ARENA_SNAPSHOT), np.float32)
        car = np.empty((self.num_cars, rlbot_native.CAR_SNAPSHOT), np.float32)
        self._games.snapshot(arena, car)
        return {"ball": arena, "car_state": car}

    def restore(self, snapshot: Mapping[str, NDArray[np.float32]]) -> None:
        arena, car = snapshot["ball"], snapshot["car_state"]
        if len(arena) != len(self):
            raise ValueError(f"the saved state is of {len(arena)} arenas, not {len(self)}")
        self._games.restore(np.ascontiguousarray(arena), np.ascontiguousarray(car))

    def events(self) -> NDArray[np.int32]:
        """What happened in the last step (E, 5): arena, tick, kind, car, other; see `Games.events` of the extension."""
        events: NDArray[np.int32] = self._games.events()
        return events
