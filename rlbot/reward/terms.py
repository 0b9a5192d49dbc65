"""The built-in reward terms: what each car earns in one step, from the state before the step and the state after it.

Each term is a scalar function of (arena before, arena after, car before, car after, team sign). It is positive if what
its name says happens ("concede" is positive if a goal is conceded, so its weight is negative). A demolished car earns
nothing by a term about the car itself; a term about the ball or the score (`ball_to_goal`, `goal`, `concede`) pays all
cars of the team. A function marked `_built_in` is a term; nothing else lists it. One compiled pass evaluates all terms
of a run. The forms follow the guides of other Rocket League trainers; the numbers are RocketSim's: car at most 2300
uu/s, ball at most 6000 uu/s, goals at |y| = 5120 uu.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rlbot.reward.flight import headed
from rlbot.values.convert import no_such_name

CAR_SPEED = 2300.0
BALL_SPEED = 6000.0
HARD_HIT = 4600.0  # change of the ball's velocity by a powerful shot, uu/s
GOAL_Y = 5120.0


_FUNCTIONS: dict[str, Any] = {}  # by the name that the settings give the term


def _built_in(function: Callable[..., float]) -> Any:
    """Compiles a function and makes it a built-in term of its name."""
    compiled = _FUNCTIONS[function.__name__] = njit(cache=True)(function)
    return compiled


@njit(cache=True, inline="always")
def _toward(from_pos, velocity, x, y, z):  # type: ignore[no-untyped-def]
    """Component of `velocity` along the direction from `from_pos` to (x, y, z), uu/s."""
    dx, dy, dz = x - from_pos[0], y - from_pos[1], z - from_pos[2]
    distance = np.sqrt(dx * dx + dy * dy + dz * dz)
    if distance < 1e-3:
        return 0.0
    return (velocity[0] * dx + velocity[1] * dy + velocity[2] * dz) / distance


@_built_in
def touch(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 + 2 |dv| / 4600 if the car touched the ball, dv being the change of the ball's velocity: about 1 to 3."""
    if car.touched == 0:
        return 0.0
    change = 0.0
    for i in range(3):
        change += (arena.ball_vel[i] - arena0.ball_vel[i]) ** 2
    return 1.0 + 2.0 * np.sqrt(change) / HARD_HIT


@_built_in
def speed_to_ball(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """Speed toward the ball / 2300, 0 to 1; 0 if the car drives away."""
    if car.is_demoed > 0:
        return 0.0
    ball = arena.ball_pos
    return max(_toward(car.pos, car.vel, ball[0], ball[1], ball[2]) / CAR_SPEED, 0.0)


@_built_in
def face_ball(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """Cosine of the angle between the car's nose and the direction to the ball, -1 to 1."""
    if car.is_demoed > 0:
        return 0.0
    ball = arena.ball_pos
    return _toward(car.pos, car.forward, ball[0], ball[1], ball[2])


@_built_in
def ball_to_goal(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """The ball's speed toward the middle of the opponents' goal / 6000, -1 to 1."""
    return _toward(arena.ball_pos, arena.ball_vel, 0.0, sign * GOAL_Y, 321.0) / BALL_SPEED


@_built_in
def goal(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 for every car of the team if it scored."""
    if sign > 0:
        return arena.blue_score - arena0.blue_score
    return arena.orange_score - arena0.orange_score


@_built_in
def concede(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 for every car of the team if it conceded a goal."""
    if sign > 0:
        return arena.orange_score - arena0.orange_score
    return arena.blue_score - arena0.blue_score


@_built_in
def air(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 while fewer than three wheels touch a surface and the car is not demolished."""
    return 1.0 if car.on_ground == 0 and car.is_demoed == 0 else 0.0


@_built_in
def boost_keep(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """sqrt(boost / 100), 0 to 1: the first boost counts most."""
    if car.is_demoed > 0:
        return 0.0
    return np.sqrt(max(car.boost, 0.0) / 100.0)


@_built_in
def boost_gain(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """Increase of sqrt(boost / 100), 0 to 1; 0 if boost was used, and at a respawn."""
    if car0.is_demoed > 0 or car.is_demoed > 0:
        return 0.0
    return max(np.sqrt(max(car.boost, 0.0) / 100.0) - np.sqrt(max(car0.boost, 0.0) / 100.0), 0.0)


@_built_in
def demo(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 for every opponent that the car demolished."""
    return max(car.demos - car0.demos, 0.0)


@_built_in
def save(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 for a touch after which the ball no longer heads into the own goal."""
    if car.touched == 0 or car.is_demoed > 0:
        return 0.0
    before, after = headed(arena0, arena)
    return 1.0 if before == -sign and after != -sign else 0.0


@_built_in
def clear(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """For a touch in the own half: increase of the ball's speed toward the opponents' side, dvy / 4600, at least 0."""
    if car.touched == 0 or arena.ball_pos[1] * sign > 0:
        return 0.0
    return max((arena.ball_vel[1] - arena0.ball_vel[1]) * sign / HARD_HIT, 0.0)


@_built_in
def touch_to_goal(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """For a touch: increase of the ball's speed toward the middle of the opponents' goal / 4600; may be negative."""
    if car.touched == 0:
        return 0.0
    before = _toward(arena.ball_pos, arena0.ball_vel, 0.0, sign * GOAL_Y, 321.0)
    after = _toward(arena.ball_pos, arena.ball_vel, 0.0, sign * GOAL_Y, 321.0)
    return (after - before) / HARD_HIT


@_built_in
def align(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """Cosine of the angle between the directions from the car to the ball and from the ball to the middle of the
    opponents' goal: 1 if driving straight through the ball leads to their goal, -1 if it leads away from it."""
    if car.is_demoed > 0:
        return 0.0
    ball = arena.ball_pos
    way = (-ball[0], sign * GOAL_Y - ball[1], 321.0 - ball[2])
    length = np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)
    if length < 1e-3:
        return 0.0
    return _toward(car.pos, way, ball[0], ball[1], ball[2]) / length


@_built_in
def own_half(arena0, arena, car0, car, sign):  # type: ignore[no-untyped-def]
    """1 while the car is closer to its own goal line than the ball is, by y."""
    return 1.0 if (arena.ball_pos[1] - car.pos[1]) * sign > 0 and car.is_demoed == 0 else 0.0


TERMS = tuple(_FUNCTIONS)


def _dispatch() -> Any:
    """A compiled function (which, arena0, arena, car0, car, sign) -> what term TERMS[which] gives.

    Its source is written out, because a chain of comparisons is the fastest way for Numba to call one of several
    functions: a recursion over them takes half as long again, and `literal_unroll` does not compile them.
    """
    lines = ["def term(which, arena0, arena, car0, car, sign):"]
    for number, name in enumerate(TERMS):
        lines += [f"    if which == {number}:", f"        return {name}(arena0, arena, car0, car, sign)"]
    names = dict(_FUNCTIONS)
    exec("\n".join([*lines, "    return 0.0"]), names)
    return njit(names["term"])


_term = _dispatch()


@njit(cache=True)
def evaluate(arenas0, arenas, cars0, cars, which, rows, out):  # type: ignore[no-untyped-def]
    """Write term which[k] of every car that is present into out[rows[k]]; `out` is (K, N, P)."""
    half = cars.shape[1] // 2  # the first slot of orange
    for n in range(cars.shape[0]):
        for slot in range(cars.shape[1]):
            if cars[n, slot].present == 0:
                continue
            sign = 1.0 if slot < half else -1.0
            for k in range(len(which)):
                out[rows[k], n, slot] = _term(which[k], arenas0[n], arenas[n], cars0[n, slot], cars[n, slot], sign)


def indices(names: list[str]) -> NDArray[np.int64]:
    """The indices of built-in terms in TERMS, for `evaluate`. Raises ValueError if a name is not a built-in term."""
    for name in names:
        if name not in TERMS:
            raise ValueError(no_such_name(f"reward.terms.{name}", name, TERMS))
    return np.array([TERMS.index(name) for name in names], np.int64)
