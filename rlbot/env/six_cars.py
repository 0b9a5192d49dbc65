"""The default observation with room for two mates and three opponents, for teams of up to three cars.

First come the mates that are there, then the opponents, each in the order of their places in the team, beginning with
the car's own place; zeros follow for those that are not there. So it does not matter how many slots the batch has.
"""

from numba import njit

from rlbot.env.observation import LIMIT, ONE, OTHER_CAR, alone, other_car, with_others

MATES, OPPONENTS = 2, 3
# (name, size) of every part, in order.
SIX_CARS = with_others(*(f"mate_{i}" for i in range(1, MATES + 1)), *(f"opponent_{i}" for i in range(1, OPPONENTS + 1)))
_OTHER_SIZE = sum(size for _, size in OTHER_CAR)


@njit(cache=True)
def six_cars(arenas, cars, controls, car_arena, car_slot, pad_cooldown, which, out):  # type: ignore[no-untyped-def]
    """See `rlbot.env.observations.observe`."""
    half = cars.shape[1] // 2  # the first slot of orange
    for c in which:
        n, slot = car_arena[c], car_slot[c]
        car, row = cars[n, slot], out[c]
        mine, theirs = (0, half) if slot < half else (half, 0)  # the first slots of both teams
        place, sign = slot - mine, ONE if slot < half else -ONE
        at = alone(row, arenas[n], car, controls[c], sign, pad_cooldown)
        for first, seen in ((mine, MATES), (theirs, OPPONENTS)):
            end = at + seen * _OTHER_SIZE
            for i in range(half):
                other = first + (place + i) % half
                if other != slot and cars[n, other].present > 0:
                    at = other_car(row, at, cars[n, other], car, sign)
            row[at:end] = 0.0
            at = end
        for i in range(at):
            row[i] = min(max(row[i], -LIMIT), LIMIT)
