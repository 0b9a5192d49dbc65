"""Count what each car does in a step: touches, goals, shots, saves, passes, ...

`rlbot.reward.flight` decides whether the ball is heading into a goal. A shot is a touch after which the ball heads into
the opponents' goal, and did not before. A save is a touch after which it no longer heads into the car's own goal. A
pass is a touch after which a teammate touches the ball next. An own goal counts for the car that touched the ball last,
unless the ball was heading into that goal before the touch (a save that failed). If several cars touch the ball in one
step, none of them counts as the last.
"""

import numpy as np
from numba import njit

from rlbot.reward.flight import headed

# What is counted for every car: the columns of `BatchEnv.counts`.
COUNTS = (
    "touches", "goals", "conceded", "own_goals", "demos", "saves", "shots", "passes", "boost_pickups", "boost_used",
    "air", "speed", "steps",
)  # fmt: skip
(
    _TOUCHES, _GOALS, _CONCEDED, _OWN_GOALS, _DEMOS, _SAVES, _SHOTS, _PASSES, _PICKUPS, _USED, _AIR, _SPEED, _STEPS,
) = range(len(COUNTS))  # fmt: skip
_SHOT, _SAVE, _PASS, _OWN_GOAL = 1, 2, 4, 8
NOBODY = -1


@njit(cache=True)
def _find_events(arena0, arena, cars, last, events):  # type: ignore[no-untyped-def]
    """Write what each car of an arena did with the ball into `events` (P,), a sum of the four flags above. Update
    `last` (2,): the slot that touched the ball last, and the last slot that touched a ball not yet heading into its own
    goal."""
    events[:] = 0
    half = len(cars) // 2  # the first slot of orange
    touching, only = 0, NOBODY
    for slot in range(len(cars)):
        if cars[slot].touched > 0:
            touching, only = touching + 1, slot
    if touching:
        before, after = headed(arena0, arena)
        for slot in range(len(cars)):
            attacked = 1 if slot < half else -1
            if cars[slot].touched > 0 and after == attacked != before:
                events[slot] += _SHOT
            if cars[slot].touched > 0 and before == -attacked != after:
                events[slot] += _SAVE
        if touching > 1:
            last[0] = last[1] = NOBODY
        else:
            if last[0] not in (NOBODY, only) and last[0] // half == only // half:
                events[last[0]] += _PASS
            last[0] = only
            if before != (-1 if only < half else 1):
                last[1] = only
    let_in = 1 if arena.blue_score > arena0.blue_score else 0 if arena.orange_score > arena0.orange_score else NOBODY
    if let_in != NOBODY and last[1] != NOBODY and last[1] // half == let_in:
        events[last[1]] += _OWN_GOAL


@njit(cache=True)
def count(arenas0, arenas, cars0, cars, car_arena, car_slot, waiting, last_touch, counts):  # type: ignore[no-untyped-def]
    """Add what happened in a step to `counts` (C, len(COUNTS)), except in arenas that are `waiting` (N,). The caller
    keeps `last_touch` (N, 2) from step to step and sets it to NOBODY when an episode starts."""
    events = np.zeros(cars.shape[1], np.int64)
    half, known = cars.shape[1] // 2, NOBODY
    for c in range(len(car_arena)):
        n, slot = car_arena[c], car_slot[c]
        if waiting[n]:
            continue
        if n != known:
            known = n
            _find_events(arenas0[n], arenas[n], cars[n], last_touch[n], events)
        car0, car, row = cars0[n, slot], cars[n, slot], counts[c]
        blue = arenas[n].blue_score - arenas0[n].blue_score
        orange = arenas[n].orange_score - arenas0[n].orange_score
        row[_TOUCHES] += car.touched
        row[_GOALS] += blue if slot < half else orange
        row[_CONCEDED] += orange if slot < half else blue
        row[_OWN_GOALS] += (events[slot] & _OWN_GOAL) > 0
        row[_DEMOS] += max(car.demos - car0.demos, 0.0)
        row[_SAVES] += (events[slot] & _SAVE) > 0
        row[_SHOTS] += (events[slot] & _SHOT) > 0
        row[_PASSES] += (events[slot] & _PASS) > 0
        row[_PICKUPS] += max(car.boost_pickups - car0.boost_pickups, 0.0)
        if not car0.is_demoed:  # otherwise it respawned with a new tank
            row[_USED] += max(car0.boost - car.boost, 0.0)
        row[_AIR] += 1.0 - max(car.on_ground, car.is_demoed)
        row[_SPEED] += np.sqrt(car.vel[0] ** 2 + car.vel[1] ** 2 + car.vel[2] ** 2)
        row[_STEPS] += 1.0
