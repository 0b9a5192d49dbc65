"""The numbers that the policy was trained to see; manifest.json names them in this order.

Every car sees the field as if it played blue: for orange x and y change sign. "Local" means along the own car's
forward, right and up.
"""

from math import dist, sqrt

import numpy as np
from numpy.typing import NDArray

from .geometry import Vector, dot
from .tracker import Car, Tracker

USUAL, SIX_CARS = 180, 232  # numbers of an observation; the second is for teams of three
OTHERS = {USUAL: (1, 2), SIX_CARS: (2, 3)}  # how many mates and opponents each has
SPEED = 2300.0  # uu/s: top speed of a car; positions are divided by the same number
CAR_SPIN, BALL_SPIN = 5.5, 6.0  # rad/s
DEMOLITION = 3.0  # s
FLIP_WINDOW = 1.25  # s
TANK = 100.0
GRAVITY = -650.0  # uu/s^2
BALL_RADIUS = 91.25
GOAL_Y, GOAL_Z = 5120.0, 321.0
LIMIT = 10.0  # all numbers are clipped to [-LIMIT, LIMIT]
NO_CAR = [0.0] * 26


def observe(tracker: Tracker, player_id: int, previous_action: list[float], size: int = USUAL) -> NDArray[np.float32]:
    """Returns the observation (size,) of one car. `previous_action`: the 8 controls that it chose last.

    Raises KeyError if there is no such car.
    """
    me = tracker.cars[player_id]
    sign = 1.0 if me.team == 0 else -1.0
    numbers = _ball(tracker, me, sign) + _own_car(me, sign) + previous_action + _goals(me, sign)
    timers = [timer / cooldown for timer, cooldown in zip(tracker.pad_timers, tracker.cooldowns, strict=True)]
    numbers += timers if me.team == 0 else timers[::-1]  # the own half comes first
    for other in _seen(tracker, player_id, size):
        numbers += _other_car(other, me, sign)
    clipped: NDArray[np.float32] = np.clip(np.array(numbers), -LIMIT, LIMIT).astype(np.float32)
    return clipped


def _seen(tracker: Tracker, player_id: int, size: int) -> list[Car | None]:
    """Returns the mates and the opponents. If there are more, those nearest to the own car count.

    In training, cars of a team stand in places: who is first, second and third. Mates and opponents come in the order
    of their places, the own place first. Here the places follow the order of the packet.
    """
    me, (most_mates, most_opponents) = tracker.cars[player_id], OTHERS[size]
    mine = [each for each, car in tracker.cars.items() if car.team == me.team and each != player_id]
    theirs = [each for each, car in tracker.cars.items() if car.team != me.team]
    mates, opponents = _nearest(tracker, me, mine, most_mates), _nearest(tracker, me, theirs, most_opponents)
    order = list(tracker.cars)
    place = sum(order.index(mate) < order.index(player_id) for mate in mates)
    return [
        *_from(place, [tracker.cars[each] for each in mates], most_mates, True),
        *_from(place, [tracker.cars[each] for each in opponents], most_opponents, size == SIX_CARS),
    ]


def _from(place: int, cars: list[Car], count: int, absent_last: bool) -> list[Car | None]:
    """Returns the cars from this place on and then those before it, `count` in all: None where there is no car."""
    places = [*cars, *[None] * (count - len(cars))]
    places = places[place:] + places[:place]
    return sorted(places, key=lambda car: car is None) if absent_last else places


def _nearest(tracker: Tracker, me: Car, candidates: list[int], count: int) -> list[int]:
    """Returns at most `count` of the candidates, in the order of the packet."""
    if len(candidates) <= count:
        return candidates
    chosen = sorted(candidates, key=lambda each: dist(tracker.cars[each].pos, me.pos))[:count]
    return [each for each in candidates if each in chosen]


def _world(vector: Vector, sign: float, scale: float) -> list[float]:
    return [vector[0] * sign / scale, vector[1] * sign / scale, vector[2] / scale]


def _local(vector: Vector, car: Car, scale: float) -> list[float]:
    return [dot(vector, car.forward) / scale, dot(vector, car.right) / scale, dot(vector, car.up) / scale]


def _less(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _ball(tracker: Tracker, me: Car, sign: float) -> list[float]:
    pos, vel = tracker.ball_pos, tracker.ball_vel
    away = _less(pos, me.pos)
    numbers = _world(pos, sign, SPEED) + _world(vel, sign, SPEED) + _world(tracker.ball_ang_vel, sign, BALL_SPIN)
    numbers += _local(away, me, SPEED) + _local(_less(vel, me.vel), me, SPEED)
    numbers.append(sqrt(dot(away, away)) / SPEED)
    for t in (0.5, 1.0):  # of free flight
        height = max(pos[2] + vel[2] * t + 0.5 * GRAVITY * t * t, BALL_RADIUS)
        numbers += _local((away[0] + vel[0] * t, away[1] + vel[1] * t, height - me.pos[2]), me, SPEED)
    return numbers


def _own_car(me: Car, sign: float) -> list[float]:
    return [
        *_pose(me, sign),
        *_local(me.vel, me, SPEED),
        *_local(me.ang_vel, me, CAR_SPIN),
        me.boost / TANK,
        float(me.on_ground),
        float(me.has_flip),
        float(me.has_jumped),
        float(me.has_double_jumped),
        float(me.has_flipped),
        min(me.air_time_since_jump / FLIP_WINDOW, 1.0),
        float(me.is_supersonic),
        float(me.is_demoed),
        me.demo_timer / DEMOLITION,
        me.handbrake,
    ]


def _goals(me: Car, sign: float) -> list[float]:
    opponent_goal, own_goal = (0.0, GOAL_Y * sign, GOAL_Z), (0.0, -GOAL_Y * sign, GOAL_Z)
    return _local(_less(opponent_goal, me.pos), me, SPEED) + _local(_less(own_goal, me.pos), me, SPEED)


def _other_car(other: Car | None, me: Car, sign: float) -> list[float]:
    if other is None:
        return NO_CAR
    return [
        1.0,
        *_pose(other, sign),
        *_local(_less(other.pos, me.pos), me, SPEED),
        *_local(_less(other.vel, me.vel), me, SPEED),
        other.boost / TANK,
        float(other.is_demoed),
        float(other.on_ground),
        float(other.has_flip),
    ]


def _pose(car: Car, sign: float) -> list[float]:
    return [
        *_world(car.pos, sign, SPEED),
        *_world(car.vel, sign, SPEED),
        *_world(car.ang_vel, sign, CAR_SPIN),
        *_world(car.forward, sign, 1.0),
        *_world(car.up, sign, 1.0),
    ]
