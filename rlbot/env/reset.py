"""How an episode starts: kickoff, near_ball, airborne, anywhere, shot or a reset of the user's own, drawn by weight.

Cars and ball start inside the field, clear of its walls and curved edges and of each other.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rlbot.env.own_reset import CORNER, FIELD_X, FIELD_Y, OwnReset, Sizes
from rlbot.sim import CarPlacement, Placement

# Blue's kickoff spawns (x, y, yaw), from RocketSim's soccar constants; orange's are rotated by half a turn.
SPAWNS = (
    (-2048.0, -2560.0, 0.25 * math.pi),
    (2048.0, -2560.0, 0.75 * math.pi),
    (-256.0, -3840.0, 0.5 * math.pi),
    (256.0, -3840.0, 0.5 * math.pi),
    (0.0, -4608.0, 0.5 * math.pi),
)
REST_Z = 17.0  # height of a car that stands on its wheels
BALL_REST_Z = 93.15
_MIN_GAP = 200.0  # between two cars, or a car and the ball; no part of a car is further than 93 uu from its origin
_MAX_TRIES = 100


def kickoff(rng: random.Random, sizes: Sizes) -> Placement:
    """The official kickoff: both teams take the same spawns, each seen from its own side."""
    order = rng.sample(range(len(SPAWNS)), len(SPAWNS))
    taken = [[SPAWNS[place] for place in order[:size]] for size in sizes]
    blue = [CarPlacement((x, y, REST_Z), yaw) for x, y, yaw in taken[0]]
    orange = [CarPlacement((-x, -y, REST_Z), yaw + math.pi) for x, y, yaw in taken[1]]
    return Placement([*blue, *orange], ball_pos=(0.0, 0.0, BALL_REST_Z))


def anywhere(rng: random.Random, sizes: Sizes) -> Placement:
    """Ball and cars anywhere, moving in any direction; each car is in the air with probability 0.5."""
    ball = _point(rng, 400.0, 150.0, 1500.0)
    taken = [ball]
    cars = [_car(rng, taken, airborne=rng.random() < 0.5) for _ in range(sum(sizes))]
    return Placement(cars, ball, _velocity(rng, 2000.0))


def near_ball(rng: random.Random, sizes: Sizes) -> Placement:
    """A slow, low ball; the cars are on the ground 400 to 1800 uu from it and roughly face it."""
    x, y, z = _point(rng, 900.0, BALL_REST_Z, 400.0)
    if rng.random() < 0.7:
        z = BALL_REST_Z
    taken = [(x, y, z)]
    cars = []
    for _ in range(sum(sizes)):
        pos = _around(rng, taken, x, y, 400.0, 1800.0)
        taken.append(pos)
        yaw = math.atan2(y - pos[1], x - pos[0]) + rng.gauss(0.0, 0.6)
        speed = rng.uniform(0.0, 1400.0)
        vel = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
        cars.append(CarPlacement(pos, yaw, vel=vel, boost=_boost(rng)))
    vx, vy, _ = _velocity(rng, 800.0)
    return Placement(cars, (x, y, z), (vx, vy, 0.0 if z == BALL_REST_Z else rng.uniform(-300.0, 300.0)))


def airborne(rng: random.Random, sizes: Sizes) -> Placement:
    """A high ball; the cars are in the air below it, roughly face it and have boost to fly."""
    x, y, z = ball = _point(rng, 900.0, 700.0, 1500.0)
    taken = [ball]
    cars = []
    for _ in range(sum(sizes)):
        px, py, _ = pos = _around(rng, taken, x, y, 300.0, 1500.0, rng.uniform(200.0, max(z - 200.0, 300.0)))
        taken.append(pos)
        flat = math.hypot(x - px, y - py)
        yaw = math.atan2(y - py, x - px) + rng.gauss(0.0, 0.4)
        pitch = math.atan2(z - pos[2], flat) + rng.gauss(0.0, 0.3)
        speed = rng.uniform(300.0, 1400.0)
        flat_speed = speed * math.cos(pitch)
        vel = (flat_speed * math.cos(yaw), flat_speed * math.sin(yaw), speed * math.sin(pitch))
        roll = rng.gauss(0.0, 0.3)
        cars.append(CarPlacement(pos, yaw, pitch, roll, vel, boost=rng.uniform(30.0, 100.0)))
    return Placement(cars, ball, _velocity(rng, 600.0))


def shot(rng: random.Random, sizes: Sizes) -> Placement:
    """A slow ball in front of a goal, an attacker behind it that faces it; the other cars anywhere on the ground."""
    cars_of_both = range(sum(sizes))
    attacker = rng.choice(cars_of_both)
    sign = 1.0 if attacker < sizes[0] else -1.0  # of y, toward the goal that it attacks
    x, y = rng.uniform(-2500.0, 2500.0), sign * rng.uniform(500.0, 4000.0)
    goal_x, goal_y = rng.uniform(-700.0, 700.0) - x, sign * FIELD_Y - y
    while True:
        way = math.atan2(goal_y, goal_x) + rng.gauss(0.0, 0.3)
        distance = rng.uniform(300.0, 1500.0)
        start = (x - distance * math.cos(way), y - distance * math.sin(way), REST_Z)
        if _has_room(start):  # else a wall is behind the ball: draw again
            break
    yaw, speed = way + rng.gauss(0.0, 0.2), rng.uniform(0.0, 1600.0)
    vel = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
    ball = (x, y, BALL_REST_Z)
    taken = [ball, start]
    cars = [
        CarPlacement(start, yaw, vel=vel, boost=_boost(rng)) if i == attacker else _car(rng, taken, airborne=False)
        for i in cars_of_both
    ]
    vx, vy, _ = _velocity(rng, 600.0)
    return Placement(cars, ball, (vx, vy, 0.0))


RESETS: dict[str, Callable[[random.Random, Sizes], Placement]] = {
    "kickoff": kickoff,
    "near_ball": near_ball,
    "airborne": airborne,
    "anywhere": anywhere,
    "shot": shot,
}


def share_of(kind: float | OwnReset) -> float:
    """The weight of an item of a mix of resets: a built-in one is its weight alone."""
    return kind.share if isinstance(kind, OwnReset) else kind


def draw(rng: np.random.Generator, mix: Mapping[str, float | OwnReset], sizes: Sizes, arena: int = 0) -> Placement:
    """Draw a start for an arena of (blue, orange) cars, by the weights of `mix` (at least one above 0).

    One number of `rng` seeds a generator of Python, which draws single numbers in a tenth of NumPy's time. A reset of
    the user's own gets `rng` itself; it raises the errors of `OwnReset.draw`, which name the `arena`.
    """
    own = random.Random(int(rng.integers(2**63)))
    (name,) = own.choices(list(mix), [share_of(kind) for kind in mix.values()])
    kind = mix[name]
    return kind.draw(rng, sizes, arena) if isinstance(kind, OwnReset) else RESETS[name](own, sizes)


def _point(rng: random.Random, margin: float, low: float, high: float) -> tuple[float, float, float]:
    """A point at least `margin` uu inside all walls, those of the corners included; z in [low, high]."""
    while True:
        x = rng.uniform(-FIELD_X + margin, FIELD_X - margin)
        y = rng.uniform(-FIELD_Y + margin, FIELD_Y - margin)
        if abs(x) + abs(y) < CORNER - margin * math.sqrt(2):
            return x, y, rng.uniform(low, high)


def _has_room(pos: tuple[float, float, float]) -> bool:
    """Whether a car at `pos`, at any yaw, is clear of the walls and of the curved edges below them."""
    x, y, _ = pos
    return abs(x) < FIELD_X - 300 and abs(y) < FIELD_Y - 300 and abs(x) + abs(y) < CORNER - 500


def _around(
    rng: random.Random,
    taken: Sequence[tuple[float, float, float]],
    x: float,
    y: float,
    low: float,
    high: float,
    z: float = REST_Z,
) -> tuple[float, float, float]:
    """A free place at height z, `low` to `high` uu from (x, y); if none is found, one anywhere on the field."""
    for _ in range(_MAX_TRIES):
        angle, distance = rng.uniform(0.0, 2 * math.pi), rng.uniform(low, high)
        pos = (x + distance * math.cos(angle), y + distance * math.sin(angle), z)
        if _has_room(pos) and _free(pos, taken):
            return pos
    return _free_point(rng, taken, z, z)


def _free_point(
    rng: random.Random, taken: Sequence[tuple[float, float, float]], low: float, high: float
) -> tuple[float, float, float]:
    """A free place anywhere on the field, z in [low, high]. Nearly all of the field is free, so this ends quickly."""
    while True:
        pos = _point(rng, 400.0, low, high)
        if _free(pos, taken):
            return pos


def _car(rng: random.Random, taken: list[tuple[float, float, float]], airborne: bool) -> CarPlacement:
    pos = _free_point(rng, taken, 150.0, 1600.0) if airborne else _free_point(rng, taken, REST_Z, REST_Z)
    taken.append(pos)
    yaw = rng.uniform(-math.pi, math.pi)
    if not airborne:
        speed = rng.uniform(-500.0, 2000.0)
        vel = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
        return CarPlacement(pos, yaw, vel=vel, boost=_boost(rng))
    pitch, roll = rng.uniform(-0.5 * math.pi, 0.5 * math.pi), rng.uniform(-math.pi, math.pi)
    ang_vel = (rng.uniform(-2.0, 2.0), rng.uniform(-2.0, 2.0), rng.uniform(-2.0, 2.0))
    return CarPlacement(pos, yaw, pitch, roll, _velocity(rng, 1500.0), ang_vel, _boost(rng))


def _free(pos: tuple[float, float, float], taken: Sequence[tuple[float, float, float]]) -> bool:
    return all(math.dist(pos, other) > _MIN_GAP for other in taken)


def _velocity(rng: random.Random, top_speed: float) -> tuple[float, float, float]:
    """A velocity in any direction, up to `top_speed` uu/s."""
    x, y, z = (rng.gauss(0.0, 1.0) for _ in range(3))
    scale = rng.uniform(0.0, top_speed) / max(math.hypot(x, y, z), 1e-6)
    return x * scale, y * scale, z * scale


def _boost(rng: random.Random) -> float:
    """0 to 100; every fourth car starts empty, so that it learns to play without boost and to collect it."""
    return 0.0 if rng.random() < 0.25 else rng.uniform(0.0, 100.0)
