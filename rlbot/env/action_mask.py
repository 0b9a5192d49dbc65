"""Which rows of an action table a car may choose: not those that press a button which does nothing.

Boost does nothing while the tank is empty. Jump does nothing in the air once jump and flip are used up or 1.25 s have
passed since the jump, except for a car that lies on its roof, which turns over. The state at the decision counts: a car
that takes a pad or lands while it acts has to wait for its next decision.

A mask is packed: a bit for each action, 1 if it is allowed; the first action is the lowest bit of the first byte.
"""

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rlbot.env.action import ACTION_TABLE, CONTROL_NAMES
from rlbot.sim import State

Masks = NDArray[np.uint8]  # (M, ceil(K / 8)) for M cars and K actions
_JUMP, _BOOST = CONTROL_NAMES.index("jump"), CONTROL_NAMES.index("boost")
# uu; the centre of a car whose roof touches the floor or a ramp below 45 degrees is lower.
ROOF_HEIGHT = np.float32(150.0)


class HasCars(Protocol):
    """What cars are in: a BatchEnv, or anything else with a state and the arena and the slot of each car (C,)."""

    state: State
    car_arena: NDArray[np.int64]
    car_slot: NDArray[np.int64]


def mask_size(num_actions: int) -> int:
    """Bytes of a packed mask."""
    return -(-num_actions // 8)


def pack(allowed: Any) -> Masks:
    """Packs masks (M, K), true where an action is allowed."""
    return np.packbits(np.asarray(allowed, np.bool_), axis=-1, bitorder="little")


def unpack(masks: Masks, num_actions: int) -> NDArray[np.bool_]:
    """The reverse of `pack`."""
    return np.unpackbits(masks, axis=-1, count=num_actions, bitorder="little").astype(np.bool_)


def patterns(table: Any) -> Masks:
    """The four masks of a table (K, 8), (4, ceil(K / 8)): for a car whose buttons boost and jump have no effect, boost
    has, jump has, both have. Where no row would be left, all are allowed."""
    rows = np.asarray(table, np.float32)
    allowed = np.ones((4, len(rows)), np.bool_)
    for effects in range(4):
        for bit, button in enumerate((_BOOST, _JUMP)):
            if not effects >> bit & 1:
                allowed[effects] &= rows[:, button] <= 0
        allowed[effects] |= not allowed[effects].any()
    return pack(allowed)


@njit(cache=True)
def _write(cars, car_arena, car_slot, patterns, out):  # type: ignore[no-untyped-def]
    for c in range(len(car_arena)):
        car = cars[car_arena[c], car_slot[c]]
        rises = car.has_jumped > 0 and car.air_time_since_jump == 0  # holding jump lifts it for up to 0.2 s
        on_roof = car.up[2] < 0 and car.pos[2] < ROOF_HEIGHT
        effects = 0
        if car.boost > 0:
            effects += 1
        if car.has_flip > 0 or rises or on_roof:  # has_flip: on the ground, too
            effects += 2
        out[c] = patterns[effects]


def allowed(env: HasCars, cars: Any, table: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    """Which rows of `table` (K, 8) some cars (M,) of `env` may choose, (M, K); None: rows of ACTION_TABLE."""
    table = ACTION_TABLE if table is None else table
    return unpack(masks_of(env.state, patterns(table), env.car_arena[cars], env.car_slot[cars]), len(table))


def masks_of(state: State, patterns: Masks, car_arena: NDArray[np.int64], car_slot: NDArray[np.int64]) -> Masks:
    """The masks of M cars by their arenas and slots (M,), as the state is now. patterns: see the function."""
    out = np.empty((len(car_arena), patterns.shape[1]), np.uint8)
    _write(state.cars, car_arena, car_slot, patterns, out)
    return out
