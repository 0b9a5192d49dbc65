"""Two observations without positions on the field: `relative`, and `small` for quick experiments.

All vectors are along the car's own axes (forward, right, up), so that the same situation looks the same wherever on the
field it is. Goals, boost pads, heights and the direction of the world's up say where that is. Units are as in
`rlbot.env.observation`, and so are the arguments of the functions.
"""

import numpy as np
from numba import njit

from rlbot.env.observation import (
    BALL_SPIN_SCALE,
    CAR_SPIN_SCALE,
    DEMO_SCALE,
    FLIP_SCALE,
    LIMIT,
    ONE,
    POSITION_SCALE,
    TANK,
    goals,
    local,
    other_state,
)
from rlbot.sim import PAD_POSITION

_F = np.float32
_ZERO = _F(0.0)
_PAD_Z = _F(73.0)
_NEAR = 4  # boost pads that are seen

_ITSELF = (
    ("ball.local_pos", 3),
    ("ball.local_vel", 3),
    ("car.local_vel", 3),
    ("car.local_ang_vel", 3),
    ("car.local_world_up", 3),
    ("car.height", 1),
    ("car.boost", 1),
    ("car.on_ground", 1),
    ("car.has_flip", 1),
    ("goal.opponent_local_pos", 3),
    ("goal.own_local_pos", 3),
)
_OTHER = (
    ("present", 1),
    ("local_pos", 3),
    ("local_vel", 3),
    ("local_forward", 3),
    ("local_up", 3),
    ("boost", 1),
    ("demoed", 1),
    ("on_ground", 1),
    ("has_flip", 1),
)
_OTHER_SIZE = 17
# (name, size) of every part, in order.
SMALL = (*_ITSELF, ("opponent_1.local_pos", 3), ("opponent_1.local_vel", 3))
RELATIVE = (
    *_ITSELF,
    ("ball.local_ang_vel", 3),
    ("ball.height", 1),
    ("ball.distance", 1),
    ("car.has_jumped", 1),
    ("car.has_flipped", 1),
    ("car.air_time_since_jump", 1),
    ("car.is_demoed", 1),
    ("car.demo_timer", 1),
    ("previous_action", 8),
    *((f"pad_{i}.{name}", size) for i in range(1, _NEAR + 1) for name, size in (("local_pos", 3), ("timer", 1))),
    *((f"{whose}.{name}", size) for whose in ("mate", "opponent_1", "opponent_2") for name, size in _OTHER),
)


@njit(cache=True, inline="always")
def _to(out, at, car, pos):  # type: ignore[no-untyped-def]
    return local(out, at, car, pos[0] - car.pos[0], pos[1] - car.pos[1], pos[2] - car.pos[2], POSITION_SCALE)


@njit(cache=True, inline="always")
def _speed(out, at, car, vel):  # type: ignore[no-untyped-def]
    return local(out, at, car, vel[0] - car.vel[0], vel[1] - car.vel[1], vel[2] - car.vel[2], POSITION_SCALE)


@njit(cache=True)
def _itself(out, arena, car, sign):  # type: ignore[no-untyped-def]
    at = _to(out, 0, car, arena.ball_pos)
    at = _speed(out, at, car, arena.ball_vel)
    at = local(out, at, car, car.vel[0], car.vel[1], car.vel[2], POSITION_SCALE)
    at = local(out, at, car, car.ang_vel[0], car.ang_vel[1], car.ang_vel[2], CAR_SPIN_SCALE)
    at = local(out, at, car, _ZERO, _ZERO, ONE, ONE)
    out[at] = car.pos[2] * POSITION_SCALE
    out[at + 1] = car.boost / TANK
    out[at + 2] = car.on_ground
    out[at + 3] = car.has_flip
    return goals(out, at + 4, car, sign)


@njit(cache=True)
def _other(out, at, other, car):  # type: ignore[no-untyped-def]
    if other.present == 0:
        out[at : at + _OTHER_SIZE] = 0.0
        return at + _OTHER_SIZE
    out[at] = 1.0
    at = _to(out, at + 1, car, other.pos)
    at = _speed(out, at, car, other.vel)
    at = local(out, at, car, other.forward[0], other.forward[1], other.forward[2], ONE)
    at = local(out, at, car, other.up[0], other.up[1], other.up[2], ONE)
    return other_state(out, at, other)


@njit(cache=True)
def _near_pads(out, at, arena, car, sign, places, cooldowns):  # type: ignore[no-untyped-def]
    """The nearest pads, nearest first; those at the same distance in the order that the car's team counts them in."""
    near, distances = np.zeros(_NEAR, np.int64), np.full(_NEAR, np.inf)
    for k in range(len(places)):
        i = k if sign > 0 else len(places) - 1 - k
        x, y = places[i, 0] - car.pos[0], places[i, 1] - car.pos[1]
        distance, place = x * x + y * y, _NEAR
        while place > 0 and distance < distances[place - 1]:
            place -= 1
        if place < _NEAR:
            for j in range(_NEAR - 1, place, -1):
                near[j], distances[j] = near[j - 1], distances[j - 1]
            near[place], distances[place] = i, distance
    for pad in near:
        x, y = places[pad, 0] - car.pos[0], places[pad, 1] - car.pos[1]
        at = local(out, at, car, x, y, _PAD_Z - car.pos[2], POSITION_SCALE)
        out[at] = arena.pad_timer[pad] / cooldowns[pad]
        at += 1
    return at


@njit(cache=True)
def small(arenas, cars, controls, car_arena, car_slot, pad_cooldown, which, out):  # type: ignore[no-untyped-def]
    """Ball, own car, goals and the first opponent: 31 numbers, enough to learn to hit the ball."""
    half = cars.shape[1] // 2  # the first slot of orange
    for c in which:
        n, slot = car_arena[c], car_slot[c]
        car, row = cars[n, slot], out[c]
        at = _itself(row, arenas[n], car, ONE if slot < half else -ONE)
        opponent = cars[n, slot + half if slot < half else slot - half]
        row[at : at + 6] = 0.0
        if opponent.present > 0:
            _speed(row, _to(row, at, car, opponent.pos), car, opponent.vel)
        for i in range(at + 6):
            row[i] = min(max(row[i], -LIMIT), LIMIT)


@njit(cache=True)
def _relative(arenas, cars, controls, car_arena, car_slot, pad_cooldown, places, which, out):  # type: ignore[no-untyped-def]
    half = cars.shape[1] // 2  # the first slot of orange
    for c in which:
        n, slot = car_arena[c], car_slot[c]
        arena, car, row = arenas[n], cars[n, slot], out[c]
        mine, theirs = (0, half) if slot < half else (half, 0)  # the first slots of both teams
        sign = ONE if slot < half else -ONE
        at = _itself(row, arena, car, sign)
        pos, spin = arena.ball_pos, arena.ball_ang_vel
        at = local(row, at, car, spin[0], spin[1], spin[2], BALL_SPIN_SCALE)
        x, y, z = pos[0] - car.pos[0], pos[1] - car.pos[1], pos[2] - car.pos[2]
        row[at] = pos[2] * POSITION_SCALE
        row[at + 1] = np.sqrt(x * x + y * y + z * z) * POSITION_SCALE
        row[at + 2] = car.has_jumped
        row[at + 3] = car.has_flipped
        row[at + 4] = min(car.air_time_since_jump * FLIP_SCALE, ONE)
        row[at + 5] = car.is_demoed
        row[at + 6] = car.demo_timer * DEMO_SCALE
        at += 7
        for i in range(8):
            row[at + i] = controls[c, i]
        at = _near_pads(row, at + 8, arena, car, sign, places, pad_cooldown)
        place = slot - mine  # opponent_1 has the same place in its team as the car itself
        for other in (mine + 1 - place, theirs + place, theirs + 1 - place):
            at = _other(row, at, cars[n, other], car)
        for i in range(at):
            row[i] = min(max(row[i], -LIMIT), LIMIT)


def relative(arenas, cars, controls, car_arena, car_slot, pad_cooldown, which, out):  # type: ignore[no-untyped-def]
    """Everything that the default observation has, along the car's own axes, and the nearest of the boost pads."""
    _relative(arenas, cars, controls, car_arena, car_slot, pad_cooldown, PAD_POSITION, which, out)
