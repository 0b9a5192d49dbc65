"""Makes arenas repeatable: after a placement or a snapshot, equal controls give equal states, in any arena and process.

RocketSim has two kinds of state that can neither be read nor set:

- The order in which it updates the cars of an arena. They are in an `unordered_set<Car*>`, so the order depends on
  their memory addresses. It changes the last digits when two cars touch: the wheels of a car push the car below them
  before or after that car has moved. `make_arena` measures the order and accepts only one. The cars then stay as long
  as the arena, because new ones would have other addresses.
- What the last tick left in a car: friction, steering, engine and brake of the wheels, the inertia tensor, and its
  cells in the broadphase. `settle` brings all of this into one fixed state.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import RocketSim

from rlbot.sim.state import BLUE, ORANGE

# The accepted order: libstdc++ and libc++ put a new element first, MSVC puts it last. The order differs if elements
# share a bucket: in about one arena of ten with four cars (libstdc++), more often with the other libraries.
_NEWEST_FIRST = os.name != "nt"
_MAX_TRIES = 40

# A place for each car, away from pads and from each other.
_SPOTS = ((-600.0, -600.0), (600.0, -600.0), (-600.0, 600.0), (600.0, 600.0), (-600.0, 0.0), (600.0, 0.0))
_PAD = 15  # a big pad: six cars have room on its disk (radius 208 uu)
_PAD_PLACES = ((-130.0, -130.0), (130.0, -130.0), (-130.0, 130.0), (130.0, 130.0), (-130.0, 0.0), (130.0, 0.0))


def _at(x: float, y: float, z: float) -> Any:
    return RocketSim.CarState(pos=RocketSim.Vec(x, y, z), boost=0)


_ON_GROUND = [_at(x, y, 17) for x, y in _SPOTS]
_IN_AIR = [_at(x, y, 1800) for x, y in _SPOTS]
_BALL_HIGH = RocketSim.BallState(pos=RocketSim.Vec(0, 0, 1900), vel=RocketSim.Vec(0, 0, 1))
_BALL_LOW = RocketSim.BallState(pos=RocketSim.Vec(0, 0, 200), vel=RocketSim.Vec(0, 0, 1))  # at rest it would sleep
_NOTHING = RocketSim.CarControls()
_COAST = RocketSim.CarControls(handbrake=True)  # without the handbrake RocketSim brakes a car that has no throttle


# The broadphase divides space into cells, and tests an object against the objects in its cell. RocketSim's light mode
# has cells of 740 uu, with more objects in each; its heavy mode has cells of 370 uu. We use 370 uu, but no cells beyond
# the side walls (the meshes end at 4108 uu), which takes a third of the memory. Light mode doubles the length it is
# given.
_CELL = 370
_MIN, _MAX = (-5600 + 4 * _CELL, -6000, 0), (4300, 6000, 2200)
_MAX_OBJECTS = 64  # the field itself has 20


@cache
def _config() -> Any:
    """Returns the settings of an arena with fewer cells, and with the game's boost pads as custom boost pads.

    The physics is the same to the last bit, and `get_gym_state` takes a third of the time: it finds custom pads without
    hash tables, which otherwise cost more than everything else in it.
    """
    light = RocketSim.MemoryWeightMode.LIGHT
    arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR, light)  # must outlive the loop below: its pads end with it
    pads = [RocketSim.BoostPadConfig(pos=pad.get_pos(), is_big=pad.is_big) for pad in arena.get_boost_pads()]
    return RocketSim.ArenaConfig(
        memory_weight_mode=light,
        max_aabb_len=_CELL / 2,
        min_pos=RocketSim.Vec(*_MIN),
        max_pos=RocketSim.Vec(*_MAX),
        max_objects=_MAX_OBJECTS,
        custom_boost_pads=pads,
    )


def make_arena(sizes: tuple[int, int], orange_first: bool = False) -> tuple[Any, list[Any]]:
    """Returns an arena and its cars, in the order in which they were added: blue's, then orange's, or the other way
    round. RocketSim updates them in the accepted order.

    This takes about 30 ms, most of it to put the field into the cells and for the first tick. If no order is accepted,
    because a C++ library behaves differently, the last arena is returned: it works, but arenas may differ in the last
    digits after cars touch.
    """
    teams = [BLUE] * sizes[0] + [ORANGE] * sizes[1]
    if orange_first:
        teams.reverse()
    rejected = []  # kept for now: otherwise the next arena would get the same memory
    for _ in range(_MAX_TRIES):
        arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR, config=_config())
        cars = [arena.add_car(team, RocketSim.CarConfig.OCTANE) for team in teams]
        order = tick_order(arena, cars)
        if order == sorted(order, reverse=_NEWEST_FIRST):
            break
        rejected.append(arena)
    return arena, cars


def tick_order(arena: Any, cars: Sequence[Any]) -> list[int]:
    """Returns the order in which a tick updates the cars, as indices into `cars`.

    If several cars are on a boost pad, the last one in the order gets the boost. So all are put on one pad, and the car
    that got the boost is removed, until none is left.
    """
    pad, left = arena.get_boost_pads()[_PAD], list(range(len(cars)))
    order: list[int] = []
    x, y = pad.get_pos().as_tuple()[:2]
    arena.ball.set_state(_BALL_HIGH)
    while left:
        pad.set_state(RocketSim.BoostPadState())
        for i, car in enumerate(cars):
            dx, dy = _PAD_PLACES[i]
            car.set_state(_at(x + dx, y + dy, 17) if i in left else _IN_AIR[i])
        arena.step(1)
        last = next(i for i in left if cars[i].get_state().boost > 0)
        left.remove(last)
        order.insert(0, last)
    return order


def settle(arena: Any, cars: Sequence[Any]) -> None:
    """Brings everything that cannot be set into one state, in about 20 us. Afterwards set ball, cars and pads.

    It does one tick with the cars at rest on the ground, which sets the friction of the wheels, and one tick in the
    air, which leaves level cars (this sets the inertia tensor) and moves every object to other cells, in a fixed order.
    Both are needed: the first leaves forces that depend on the past.
    """
    arena.ball.set_state(_BALL_HIGH)
    for car, state in zip(cars, _ON_GROUND, strict=False):
        car.set_state(state)
        car.set_controls(_NOTHING)
    arena.step(1)
    arena.ball.set_state(_BALL_LOW)
    for car, state in zip(cars, _IN_AIR, strict=False):
        car.set_state(state)
        car.set_controls(_COAST)
    arena.step(1)
    for car in cars:
        car.set_controls(_NOTHING)
        car.goals = car.demos = car.boost_pickups = 0
