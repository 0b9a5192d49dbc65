"""What cars did, counted step by step."""

import numpy as np
from numba import njit

# What is counted for every car: the columns of `BatchEnv.counts`.
COUNTS = (
    "touches", "goals", "conceded", "demos", "saves", "shots", "boost_pickups", "boost_used", "air", "speed", "steps",
)  # fmt: skip
_TOUCHES, _GOALS, _CONCEDED, _DEMOS, _SAVES, _SHOTS, _PICKUPS, _USED, _AIR, _SPEED, _STEPS = range(len(COUNTS))


@njit(cache=True)
def count(arenas0, arenas, cars0, cars, car_arena, car_slot, waiting, counts):  # type: ignore[no-untyped-def]
    """Add what happened in a step to `counts` (C, len(COUNTS)); nothing for arenas that are `waiting` (N,)."""
    for c in range(len(car_arena)):
        n, slot = car_arena[c], car_slot[c]
        if waiting[n]:
            continue
        car0, car, row = cars0[n, slot], cars[n, slot], counts[c]
        blue = arenas[n].blue_score - arenas0[n].blue_score
        orange = arenas[n].orange_score - arenas0[n].orange_score
        row[_TOUCHES] += car.touched
        row[_GOALS] += blue if slot < 2 else orange
        row[_CONCEDED] += orange if slot < 2 else blue
        row[_DEMOS] += max(car.demos - car0.demos, 0.0)
        row[_SAVES] += max(car.saves - car0.saves, 0.0)
        row[_SHOTS] += max(car.shots - car0.shots, 0.0)
        row[_PICKUPS] += max(car.boost_pickups - car0.boost_pickups, 0.0)
        if not car0.is_demoed:  # else it came back with a new tank
            row[_USED] += max(car0.boost - car.boost, 0.0)
        row[_AIR] += 1.0 - max(car.on_ground, car.is_demoed)
        row[_SPEED] += np.sqrt(car.vel[0] ** 2 + car.vel[1] ** 2 + car.vel[2] ** 2)
        row[_STEPS] += 1.0
