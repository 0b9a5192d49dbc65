"""RocketSim v3: the extension in `native/`, if it is built."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rlbot_native
from numpy.typing import NDArray

from rlbot.sim import arenas
from rlbot.sim.arenas import CONTROLS, TICKS_PER_SECOND
from rlbot.sim.details import DETAILS, NO_CAR
from rlbot.sim.placement import Placement
from rlbot.sim.state import ARENA, ARENA_WIDTH, CAR, CAR_WIDTH, PAD_POSITION, State

VERSION: str = rlbot_native.ROCKETSIM
# The numbers of a car in a snapshot, in the order of `Car::pass` in native/src/snapshot.rs.
_CAR_FIELDS = (
    *(f"phys_{i}" for i in range(18)),
    *(f"control_{i}" for i in range(CONTROLS)),
    *(
        "last_throttle",
        "last_steer",
        "last_pitch",
        "last_yaw",
        "last_roll",
        "last_jump",
        "last_boost",
        "last_handbrake",
    ),
    *(f"flip_torque_{i}" for i in range(3)),
    *("has_jumped", "has_double_jumped", "has_flipped", "is_flipping", "is_jumping", "jump_hold_broken"),
    *("is_supersonic", "is_boosting", "is_auto_flipping", "is_demoed", "on_ground"),
    *(f"wheel_{i}" for i in range(4)),
    *("jump_ticks", "flip_time", "air_time", "air_time_since_jump", "boost", "handbrake", "supersonic_grace_timer"),
    *("time_since_boosted", "boosting_time", "auto_flip_timer", "auto_flip_torque_scale", "bump_cooldown_timer"),
    *("demo_respawn_timer", "bump_cooldown_victim", "last_extra_hit", "touch", "pad", "place"),
)
_FLIP_TORQUE, _WHEELS = (
    slice(_CAR_FIELDS.index(first), _CAR_FIELDS.index(first) + n) for first, n in (("flip_torque_0", 3), ("wheel_0", 4))
)
_LONGEST_JUMP = 0.2  # s
_TOUCH = 0  # kind of an event


def check_layout() -> None:
    """Raises ValueError if the extension was built from other sources, and writes states with another layout."""
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
    """Loads ROOT/soccar/*.cmf. Raises RuntimeError if they are broken or incomplete."""
    check_layout()
    try:
        rlbot_native.load_meshes(str(root))
    except ValueError as error:
        raise RuntimeError(str(error)) from error


class Arenas(arenas.Arenas):
    """N games of the extension, which steps them without the GIL and writes directly into the state."""

    def __init__(
        self,
        team_sizes: Sequence[tuple[int, int]],
        tick_skip: int,
        action_delay: int = 0,
        team_slots: int | None = None,
        orange_first: Sequence[bool] = (),
    ) -> None:
        super().__init__(team_sizes, tick_skip, action_delay, team_slots, orange_first)
        self._games = rlbot_native.Games(self.slots, 2 * self.team_slots, PAD_POSITION.tolist())
        self._first_car = np.concatenate([[0], self.present.sum(1).cumsum()])
        self._supersonic_time, self._ticks = np.zeros(self.num_cars), 0  # and the ticks since it was brought up to date

    def step(self, controls: NDArray[np.float32], before: State, after: State) -> None:
        broken = self._games.step(controls, self.action_delay, self.tick_skip, after.arena_rows, after.car_rows)
        self.broken = dict(broken)
        self._ticks += self.tick_skip

    def place(self, n: int, placement: Placement, state: State) -> None:
        """Raises ValueError if a number is not finite or a position is outside the field."""
        ball = np.array([placement.ball_pos, placement.ball_vel, placement.ball_ang_vel], np.float32).ravel()
        cars = [(*c.pos, c.yaw, c.pitch, c.roll, *c.vel, *c.ang_vel, c.boost) for c in placement.cars]
        pads = [np.array(placement.pads, np.float32)] if placement.pads else []
        self._games.place(n, ball, np.array(cars, np.float32).reshape(len(cars), 13), *pads)
        self.read(n, state)

    def rebuild(self, n: int) -> None:
        """Does nothing, because every placement starts from a copy of a new arena."""

    def read(self, n: int, state: State) -> None:
        self._games.read(n, state.arena_rows, state.car_rows)

    def details(self) -> NDArray[np.void]:
        """RocketSim v3 does not count the time of being supersonic: it is counted in whole steps, from call to call."""
        car = self.snapshot()["car_state"]
        numbers = dict(zip(_CAR_FIELDS, car.T, strict=True))
        details = np.zeros(self.num_cars, DETAILS)
        details["wheels"] = car[:, _WHEELS] > 0
        for name in ("is_jumping", "is_auto_flipping"):
            details[name] = numbers[name] > 0
        for name in ("boosting_time", "auto_flip_timer"):
            details[name] = numbers[name]
        details["auto_flip_direction"] = numbers["auto_flip_torque_scale"]
        details["holds_jump"] = numbers["last_jump"] > 0
        since = np.where(numbers["has_jumped"] > 0, _LONGEST_JUMP, 0)  # after a jump RocketSim counts anew
        details["jump_time"] = np.where(details["is_jumping"], numbers["jump_ticks"] / TICKS_PER_SECOND, since)
        details["flip_time"] = np.where(numbers["has_flipped"] > 0, numbers["flip_time"], 0)
        details["flip_torque"] = car[:, _FLIP_TORQUE]
        counted = self._supersonic_time + self._ticks / TICKS_PER_SECOND
        self._ticks = 0
        details["supersonic_time"] = self._supersonic_time = np.where(numbers["is_supersonic"] > 0, counted, 0)
        victim = np.where(numbers["bump_cooldown_timer"] > 0, numbers["bump_cooldown_victim"], 0).astype(np.int64)
        details["bumped"] = np.where(victim > 0, self._first_car[self.car_arena] + victim - 1, NO_CAR)
        events = self.events()
        touches = events[events[:, 2] == _TOUCH]
        np.add.at(details["touches"], self._first_car[touches[:, 0]] + touches[:, 3], 1)
        return details

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
        """Returns the events of the last step (E, 5): arena, tick, kind, car, other; see `Games.events` in native/."""
        events: NDArray[np.int32] = self._games.events()
        return events
