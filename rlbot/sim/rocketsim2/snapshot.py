"""Converts arenas to arrays and back, so that a resumed run continues where it stopped.

RocketSim also has state that cannot be read (friction and steering of the wheels, when the ball was last hit). `decode`
brings it into one fixed state, so that all arenas that decode the same snapshot continue alike, bit for bit. This is
also true of the arena that was encoded, but only after it has decoded its own snapshot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import RocketSim
from numpy.typing import NDArray

from rlbot.sim.rocketsim2.exact import settle

_VECTORS = ("pos", "vel", "ang_vel", "flip_rel_torque", "world_contact_normal")
_NUMBERS = (
    "jump_time", "flip_time", "air_time", "air_time_since_jump", "boost", "boosting_time", "supersonic_time",
    "handbrake_val", "auto_flip_timer", "auto_flip_torque_scale", "car_contact_cooldown_timer", "demo_respawn_timer",
)  # fmt: skip
_FLAGS = (
    "is_on_ground", "has_jumped", "has_double_jumped", "has_flipped", "is_flipping", "is_jumping", "is_supersonic",
    "is_auto_flipping", "has_world_contact", "is_demoed",
)  # fmt: skip
_CONTROLS = ("throttle", "steer", "pitch", "yaw", "roll", "jump", "boost", "handbrake")

FULL_PAD = RocketSim.BoostPadState()
BALL_WIDTH = 4 * 3 + 6  # pos, vel, ang_vel and two rows of the rotation; then the third row, the slot that hit it last
_VECTOR_AT = [(name, 3 * i) for i, name in enumerate(_VECTORS)]  # the column of a car's row at which each vector begins
_ROTATION_AT = 3 * len(_VECTORS)
_NUMBERS_AT = _ROTATION_AT + 9
_FLAGS_AT = _NUMBERS_AT + len(_NUMBERS)
_CONTROLS_AT = _FLAGS_AT + len(_FLAGS) + 4  # the wheels follow the flags, the present controls the last ones
CAR_ROW = _CONTROLS_AT + 2 * len(_CONTROLS) + 1


def encode(
    arenas: Sequence[Any], cars: Sequence[Sequence[Any]], slots: Sequence[Sequence[int]], num_slots: int
) -> dict[str, Any]:
    """Returns `ball (N, 19)`, `car (N, num_slots, K)` and `pad (N, 34, 2)`, all float32; absent cars are zeros."""
    ball = np.zeros((len(arenas), BALL_WIDTH + 1), np.float32)
    car = np.zeros((len(arenas), num_slots, CAR_ROW), np.float32)
    pad = np.zeros((len(arenas), 34, 2), np.float32)
    for n, arena in enumerate(arenas):
        ids = {0: 0} | {made.id: slot + 1 for made, slot in zip(cars[n], slots[n], strict=True)}
        state = arena.ball.get_state()
        ball[n] = [
            *state.pos, *state.vel, *state.ang_vel, *state.rot_mat.as_numpy().ravel(), ids.get(state.last_hit_car_id, 0)
        ]  # fmt: skip
        for made, slot in zip(cars[n], slots[n], strict=True):
            car[n, slot] = _encode_car(made, ids)
        for i, each in enumerate(arena.get_boost_pads()):
            pad_state = each.get_state()
            pad[n, i] = pad_state.cooldown, ids.get(pad_state.prev_locked_car_id, 0)
    return {"ball": ball, "car": car, "pad": pad}


def decode(
    snapshot: Mapping[str, NDArray[np.float32]],
    arenas: Sequence[Any],
    cars: Sequence[Sequence[Any]],
    slots: Sequence[Sequence[int]],
) -> None:
    """Sets arenas to `snapshot`. Raises ValueError if it has another number of arenas."""
    if snapshot["ball"].shape != (len(arenas), BALL_WIDTH + 1) or snapshot["car"].shape[2] != CAR_ROW:
        raise ValueError(f"the saved state is of {len(snapshot['ball'])} arenas, not {len(arenas)}")
    for n, arena in enumerate(arenas):
        settle(arena, cars[n])
        ids = [0] * (1 + snapshot["car"].shape[1])
        for made, slot in zip(cars[n], slots[n], strict=True):
            ids[slot + 1] = made.id
        row = snapshot["ball"][n].tolist()
        arena.ball.set_state(
            RocketSim.BallState(
                pos=RocketSim.Vec(*row[0:3]),
                vel=RocketSim.Vec(*row[3:6]),
                ang_vel=RocketSim.Vec(*row[6:9]),
                rot_mat=_rotation(row[9:18]),
                last_hit_car_id=ids[int(row[18])],
            )
        )
        for made, slot in zip(cars[n], slots[n], strict=True):
            _decode_car(made, snapshot["car"][n, slot].tolist(), ids)
        for each, (cooldown, locked) in zip(arena.get_boost_pads(), snapshot["pad"][n].tolist(), strict=True):
            each.set_state(pad_state(cooldown, ids[int(locked)]))


def pad_state(cooldown: float, locked: int = 0) -> Any:
    """A pad that is back in `cooldown` s; `locked`: the id of the car that stands on it since it took it."""
    if cooldown <= 0 and locked == 0:
        return FULL_PAD
    return RocketSim.BoostPadState(is_active=cooldown <= 0, cooldown=cooldown, prev_locked_car_id=locked)


def _encode_car(car: Any, ids: dict[int, int]) -> list[float]:
    state, controls = car.get_state(), car.get_controls()
    return [
        *(x for name in _VECTORS for x in getattr(state, name)),
        *state.rot_mat.as_numpy().ravel(),
        *(getattr(state, name) for name in _NUMBERS),
        *(float(getattr(state, name)) for name in _FLAGS),
        *(float(wheel) for wheel in state.wheels_with_contact),
        *(float(getattr(state.last_controls, name)) for name in _CONTROLS),
        *(float(getattr(controls, name)) for name in _CONTROLS),
        ids.get(state.car_contact_id, 0),
    ]


def _decode_car(car: Any, row: list[float], ids: list[int]) -> None:
    fields: dict[str, Any] = {name: RocketSim.Vec(*row[at : at + 3]) for name, at in _VECTOR_AT}
    fields["rot_mat"] = _rotation(row[_ROTATION_AT : _ROTATION_AT + 9])
    fields.update(zip(_NUMBERS, row[_NUMBERS_AT:_FLAGS_AT], strict=True))
    flags = [value > 0 for value in row[_FLAGS_AT:_CONTROLS_AT]]
    fields.update(zip(_FLAGS, flags, strict=False))
    fields["wheels_with_contact"] = tuple(flags[-4:])
    fields["last_controls"] = _controls(row[_CONTROLS_AT : _CONTROLS_AT + 8])
    fields["car_contact_id"] = ids[int(row[-1])]
    car.set_state(RocketSim.CarState(**fields))
    car.set_controls(_controls(row[_CONTROLS_AT + 8 : _CONTROLS_AT + 16]))


def _controls(row: list[float]) -> Any:
    return RocketSim.CarControls(*row[:5], jump=row[5] > 0, boost=row[6] > 0, handbrake=row[7] > 0)


def _rotation(rows: list[float]) -> Any:
    return RocketSim.RotMat(*(RocketSim.Vec(*rows[i : i + 3]) for i in (0, 3, 6)))
