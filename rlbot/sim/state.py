"""The state of a batch of arenas as arrays: two record arrays, and a named view of every field.

Compiled functions take the record arrays (`state.arenas[n].ball_pos[0]`, `state.cars[n, p].vel`); array code takes the
views (`state.ball_pos`, `state.car_vel`). Both are the same memory. World frame; uu, uu/s, rad/s, seconds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLUE, ORANGE = 0, 1
MAX_TEAM = 3  # cars of a team
TEAM_SLOTS = 2  # of a batch without teams of three: see `team_slots_for`

_F = np.float32


def _record(fields: dict[str, int], width: int) -> np.dtype[np.void]:
    """A record of float32 fields {name: length}, padded to `width` numbers; a length of 1 is a scalar."""
    offsets = np.cumsum([0, *fields.values()])[:-1] * 4
    formats = [_F if length == 1 else (_F, (length,)) for length in fields.values()]
    layout: Any = {"names": list(fields), "formats": formats, "offsets": offsets.tolist(), "itemsize": width * 4}
    record: np.dtype[np.void] = np.dtype(layout)
    return record


# The order of the first fields is that of RocketSim's get_gym_state(), so that its rows are copied whole.
GYM_ARENA_FIELDS = {"game_mode": 1, "last_touch_id": 1, "blue_score": 1, "orange_score": 1}
GYM_BALL_FIELDS = {
    "ball_pos": 3,
    "ball_quat": 4,
    "ball_vel": 3,
    "ball_ang_vel": 3,
    "ball_forward": 3,
    "ball_right": 3,
    "ball_up": 3,
    "ball_euler": 3,
}
PADS = 34
GYM_CAR_FIELDS = {
    "id": 1,
    "team": 1,
    "goals": 1,  # these five count since the car was placed
    "saves": 1,
    "shots": 1,
    "demos": 1,
    "boost_pickups": 1,
    "is_demoed": 1,
    "on_ground": 1,
    "touched": 1,  # the ball, during the last step
    "boost": 1,  # 0 to 100
    "pos": 3,
    "quat": 4,
    "vel": 3,
    "ang_vel": 3,
    "forward": 3,
    "right": 3,
    "up": 3,
    "euler": 3,
}
EXTRA_CAR_FIELDS = {
    "has_flip": 1,  # can still jump, double jump or flip
    "has_jumped": 1,
    "has_double_jumped": 1,
    "has_flipped": 1,
    "air_time_since_jump": 1,  # s
    "is_supersonic": 1,
    "demo_timer": 1,  # s until the respawn
    "handbrake": 1,  # 0 to 1, rises and falls gradually
}
GYM_ARENA, GYM_BALL, GYM_CAR = (sum(fields.values()) for fields in (GYM_ARENA_FIELDS, GYM_BALL_FIELDS, GYM_CAR_FIELDS))
ARENA_WIDTH = GYM_ARENA + GYM_BALL + 2 * PADS
CAR_WIDTH = GYM_CAR + sum(EXTRA_CAR_FIELDS.values()) + 1
ARENA = _record({**GYM_ARENA_FIELDS, **GYM_BALL_FIELDS, "pad_active": PADS, "pad_timer": PADS}, ARENA_WIDTH)
CAR = _record({**GYM_CAR_FIELDS, **EXTRA_CAR_FIELDS, "present": 1}, CAR_WIDTH)

# RocketSim's order of the pads; a half turn of the field maps pad i to pad 33 - i. (x, y, is_big)
_HALF = (
    (0, -4240, 0), (-1792, -4184, 0), (1792, -4184, 0), (-3072, -4096, 1), (3072, -4096, 1), (-940, -3308, 0),
    (940, -3308, 0), (0, -2816, 0), (-3584, -2484, 0), (3584, -2484, 0), (-1788, -2300, 0), (1788, -2300, 0),
    (-2048, -1036, 0), (0, -1024, 0), (2048, -1036, 0), (-3584, 0, 1), (-1024, 0, 0),
)  # fmt: skip
_PADS = np.array([*_HALF, *((-x, -y, big) for x, y, big in reversed(_HALF))], dtype=_F)
PAD_POSITION: NDArray[np.float32] = _PADS[:, :2].copy()  # (34, 2) uu
PAD_COOLDOWN: NDArray[np.float32] = np.where(_PADS[:, 2] > 0, 10.0, 4.0).astype(_F)  # (34,) s


def team_slots_for(team_sizes: Sequence[tuple[int, int]]) -> int:
    """How many slots each team has in a batch of arenas with these (blue, orange) cars: 2, or 3 if there is a team of
    three. All arenas of a batch have as many, also if several processes share it."""
    return max([TEAM_SLOTS, *(max(sizes) for sizes in team_sizes)])


class State:
    """State of N arenas with P = 2 `team_slots` car slots each; the first half of the slots is blue, the second orange.

    Views, all float32: `ball_pos, ball_vel, ball_ang_vel (N,3)`, `blue_score, orange_score (N,)`,
    `pad_active, pad_timer (N,34)`, `present (N,P)`, and `car_NAME` for every field of a car: `car_pos, car_vel,
    car_ang_vel, car_forward, car_up (N,P,3)`, `car_boost, car_on_ground, car_touched, car_has_flip, ... (N,P)`.
    A slot without a car is all zeros.
    """

    team_slots: int  # 2 or 3
    arenas: NDArray[np.void]  # (N,) records ARENA
    cars: NDArray[np.void]  # (N, P) records CAR
    arena_rows: NDArray[np.float32]  # (N, ARENA_WIDTH) and (N, P, CAR_WIDTH): the records as plain numbers
    car_rows: NDArray[np.float32]
    ball_pos: NDArray[np.float32]
    ball_vel: NDArray[np.float32]
    ball_ang_vel: NDArray[np.float32]
    blue_score: NDArray[np.float32]
    orange_score: NDArray[np.float32]
    pad_active: NDArray[np.float32]
    pad_timer: NDArray[np.float32]
    present: NDArray[np.float32]
    car_pos: NDArray[np.float32]
    car_vel: NDArray[np.float32]
    car_ang_vel: NDArray[np.float32]
    car_forward: NDArray[np.float32]
    car_right: NDArray[np.float32]
    car_up: NDArray[np.float32]
    car_boost: NDArray[np.float32]
    car_on_ground: NDArray[np.float32]
    car_touched: NDArray[np.float32]
    car_is_demoed: NDArray[np.float32]
    car_demos: NDArray[np.float32]
    car_goals: NDArray[np.float32]
    car_saves: NDArray[np.float32]
    car_shots: NDArray[np.float32]
    car_boost_pickups: NDArray[np.float32]
    car_has_flip: NDArray[np.float32]
    car_has_jumped: NDArray[np.float32]
    car_has_double_jumped: NDArray[np.float32]
    car_has_flipped: NDArray[np.float32]
    car_air_time_since_jump: NDArray[np.float32]
    car_is_supersonic: NDArray[np.float32]
    car_demo_timer: NDArray[np.float32]
    car_handbrake: NDArray[np.float32]

    def __init__(
        self, num_arenas: int, memory: NDArray[np.float32] | None = None, team_slots: int = TEAM_SLOTS
    ) -> None:
        """A state of zeros, or the state in `memory`: `State.size` numbers, for example in shared memory."""
        split, slots = num_arenas * ARENA_WIDTH, 2 * team_slots
        block = np.zeros(self.size(num_arenas, team_slots), _F) if memory is None else memory
        self.memory, self.team_slots = block, team_slots
        self.arena_rows = block[:split].reshape(num_arenas, ARENA_WIDTH)
        self.car_rows = block[split:].reshape(num_arenas, slots, CAR_WIDTH)
        self.arenas = block[:split].view(ARENA)
        self.cars = block[split:].view(CAR).reshape(num_arenas, slots)
        for name, view in self.fields().items():
            setattr(self, name, view)

    @staticmethod
    def size(num_arenas: int, team_slots: int = TEAM_SLOTS) -> int:
        """Returns how many numbers the state of a batch has."""
        return num_arenas * (ARENA_WIDTH + 2 * team_slots * CAR_WIDTH)

    def __len__(self) -> int:
        return len(self.arenas)

    def fields(self) -> dict[str, NDArray[np.float32]]:
        """Returns the views by name."""
        cars = {name if name == "present" else f"car_{name}": self.cars[name] for name in CAR.names or ()}
        return {name: self.arenas[name] for name in ARENA.names or ()} | cars

    def copy(self) -> "State":
        return self.of(len(self), self.memory.copy())

    def of(self, num_arenas: int, memory: NDArray[np.float32] | None = None) -> "State":
        """Returns a state of other arenas with as many slots: zeros, or the state in `memory`."""
        return State(num_arenas, memory, self.team_slots)

    def read_only(self) -> "State":
        """Returns a state with the same memory that cannot be changed through it."""
        memory = self.memory.view()
        memory.flags.writeable = False
        return self.of(len(self), memory)

    def team_of_slot(self) -> NDArray[np.int64]:
        """Returns (P,) BLUE or ORANGE."""
        return np.repeat(np.array((BLUE, ORANGE)), self.team_slots)

    def team_sign(self) -> NDArray[np.float32]:
        """Returns (P,) +1 for blue slots, -1 for orange ones. x and y times this are as seen by blue (team frame)."""
        return np.where(self.team_of_slot() == BLUE, 1, -1).astype(_F)
