"""What makes the future of an arena a function of the placement or snapshot and the controls, in any arena and process.

RocketSim keeps two things that it lets one neither read nor set:

- The order in which it goes through the cars of an arena. They are in an `unordered_set<Car*>`, so the order follows
  from where in memory the cars happen to lie, and it decides the last digits when two cars touch: the wheels of a car
  push the car below them before or after that one has moved. `make_arena` finds the order out and accepts one only.
  The cars then stay for the life of the arena: made anew they would lie elsewhere.
- What the last tick left behind in a car: friction, steering, engine and brake of the wheels, the inertia tensor, and
  the cells of the broadphase that it is listed in. `settle` brings all of it into one fixed state.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import RocketSim

from rlbot.sim.state import TEAM_OF_SLOT

# The usual order, in insertions: libstdc++ and libc++ put a new element first, MSVC last. The exceptions are elements
# that share a bucket: about one arena in ten with four cars (libstdc++), more with the other libraries.
_NEWEST_FIRST = os.name != "nt"
_MAX_TRIES = 40

_SPOTS = ((-600.0, -600.0), (600.0, -600.0), (-600.0, 600.0), (600.0, 600.0))  # off the pads and off each other
_PAD = 15  # a big one, all four corners of whose disk (radius 208) have room for a car
_PAD_CORNERS = ((-130.0, -130.0), (130.0, -130.0), (-130.0, 130.0), (130.0, 130.0))


def _at(x: float, y: float, z: float) -> Any:
    return RocketSim.CarState(pos=RocketSim.Vec(x, y, z), boost=0)


_ON_GROUND = [_at(x, y, 17) for x, y in _SPOTS]
_IN_AIR = [_at(x, y, 1800) for x, y in _SPOTS]
_BALL_HIGH = RocketSim.BallState(pos=RocketSim.Vec(0, 0, 1900), vel=RocketSim.Vec(0, 0, 1))
_BALL_LOW = RocketSim.BallState(pos=RocketSim.Vec(0, 0, 200), vel=RocketSim.Vec(0, 0, 1))  # at rest it would sleep
_NOTHING = RocketSim.CarControls()
_COAST = RocketSim.CarControls(handbrake=True)  # without the handbrake RocketSim brakes a car that is given no throttle


# The broadphase divides space into cells and tests an object against what is listed in its cell. RocketSim's light mode
# has cells of 740 uu, which list more; its heavy mode has cells of 370 uu and takes three times the memory of these:
# the same, less those beyond the side walls (the meshes end at 4108 uu). Light mode doubles what it is told.
_CELL = 370
_MIN, _MAX = (-5600 + 4 * _CELL, -6000, 0), (4300, 6000, 2200)
_MAX_OBJECTS = 64  # of which the field is 20


@cache
def _config() -> Any:
    """Of an arena with fewer cells than RocketSim's own, whose boost pads are the game's, but given by us.

    Its play is the same to the last bit, and `get_gym_state` takes a third of the time: pads that were not given it
    looks up in hash tables, all of them at every call, which costs more than all else that it does.
    """
    light = RocketSim.MemoryWeightMode.LIGHT
    arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR, light)  # its pads live as long as it does
    pads = [RocketSim.BoostPadConfig(pos=pad.get_pos(), is_big=pad.is_big) for pad in arena.get_boost_pads()]
    return RocketSim.ArenaConfig(
        memory_weight_mode=light,
        max_aabb_len=_CELL / 2,
        min_pos=RocketSim.Vec(*_MIN),
        max_pos=RocketSim.Vec(*_MAX),
        max_objects=_MAX_OBJECTS,
        custom_boost_pads=pads,
    )


def make_arena(slots: Sequence[int]) -> tuple[Any, list[Any]]:
    """An arena and its cars, one for each of the slots, which RocketSim goes through in the one accepted order.

    About 30 ms, most of it for listing the field in the cells and for the first tick. Where no order is accepted (a C++
    library that behaves otherwise) the last arena is returned: all works, but arenas may differ in the last digits once
    cars touch.
    """
    rejected = []  # kept meanwhile: the next arena would lie at the same place
    for _ in range(_MAX_TRIES):
        arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR, config=_config())
        cars = [arena.add_car(int(TEAM_OF_SLOT[slot]), RocketSim.CarConfig.OCTANE) for slot in slots]
        order = tick_order(arena, cars)
        if order == sorted(order, reverse=_NEWEST_FIRST):
            break
        rejected.append(arena)
    return arena, cars


def tick_order(arena: Any, cars: Sequence[Any]) -> list[int]:
    """The order in which a tick goes through the cars, as indices into `cars`.

    Of cars on the same boost pad the last one gets the boost: all stand on it, and one after the other is taken away.
    """
    pad, left = arena.get_boost_pads()[_PAD], list(range(len(cars)))
    order: list[int] = []
    x, y = pad.get_pos().as_tuple()[:2]
    arena.ball.set_state(_BALL_HIGH)
    while left:
        pad.set_state(RocketSim.BoostPadState())
        for i, car in enumerate(cars):
            dx, dy = _PAD_CORNERS[i]
            car.set_state(_at(x + dx, y + dy, 17) if i in left else _IN_AIR[i])
        arena.step(1)
        last = next(i for i in left if cars[i].get_state().boost > 0)
        left.remove(last)
        order.insert(0, last)
    return order


def settle(arena: Any, cars: Sequence[Any]) -> None:
    """Bring what cannot be set into one state, about 20 us; ball, cars and pads are to be set afterwards.

    One tick on the ground, where the wheels take their friction from the speed of the car, none, and one in the air,
    where nothing turns the cars (so that the inertia tensor is that of a level car) and which moves every object into
    other cells, one after the other. Both are needed: the first leaves forces behind that depend on the past.
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
