"""Calls into RocketSim from compiled code: what they give, what they leave behind, and what happens when one fails."""

import sys

import numpy as np
import pytest

from rlbot.sim import Arenas, calls
from rlbot.sim.calls import Methods
from tests.conftest import random_controls


def methods(*functions: object) -> Methods:
    made = Methods(len(functions))
    made[:] = functions
    return made


def test_every_object_that_a_step_makes_is_released() -> None:
    arenas = Arenas([(1, 1), (2, 2)], 8)
    state, after, rng = arenas.state(), arenas.state(), np.random.default_rng(0)
    some = [random_controls(rng, arenas.num_cars) for _ in range(8)]

    def play(steps: int) -> int:
        for i in range(steps):
            arenas.step(some[i % len(some)], state, after)
        return sys.getallocatedblocks()

    play(50)
    before, nothings = play(1), sys.getrefcount(None)
    assert abs(play(500) - before) < 50  # one object a step would be 500
    assert abs(sys.getrefcount(None) - nothings) < 50  # what stepping and setting controls give


def test_controls_reach_their_cars_whether_they_were_met_before_or_not() -> None:
    arenas = Arenas([(1, 1), (2, 1)], 1)
    state, after, rng = arenas.state(), arenas.state(), np.random.default_rng(1)
    known = random_controls(rng, 5)
    for controls in (known, random_controls(rng, 5), np.vstack([known[:2], random_controls(rng, 1), known[3:]]), known):
        arenas.step(controls, state, after)
        real = [car.get_controls() for cars in arenas._cars for car in cars]
        got = [(c.throttle, c.steer, c.pitch, c.yaw, c.roll, c.jump, c.boost, c.handbrake) for c in real]
        pressed = np.hstack([controls[:, :5], controls[:, 5:] > 0])
        np.testing.assert_array_equal(np.array(got, np.float32), pressed)


def test_methods_are_called_with_what_is_known_up_to_the_first_that_is_not() -> None:
    seen: list[object] = []
    controls = np.arange(24, dtype=np.float32).reshape(3, 8)
    three = methods(seen.append, seen.append, seen.append)
    known = {controls[0].tobytes(): ("first",), controls[1].tobytes(): ("second",)}
    assert calls.apply(controls, three.addresses, id(known)) == 2
    assert seen == ["first", "second"]
    known[controls[2].tobytes()] = ("third",)
    assert calls.apply(controls, three.addresses, id(known)) == 3
    assert seen == ["first", "second", "first", "second", "third"]


def test_what_a_method_raises_is_raised() -> None:
    def fails(ticks: int) -> None:
        raise OSError(f"no {ticks} ticks")

    seen: list[int] = []
    three, ticks = methods(seen.append, fails, seen.append), (8,)
    with pytest.raises(SystemError) as raised:
        calls.step(three.addresses, id(ticks))
    assert isinstance(raised.value.__cause__, OSError) and str(raised.value.__cause__) == "no 8 ticks"
    assert seen == [8]


def test_another_layout_of_the_state_is_refused() -> None:
    arenas = Arenas([(1, 2)], 8)
    gym = arenas._arenas[0].get_gym_state()
    reals = [car.get_state() for car in arenas._cars[0]]
    calls.check(gym, reals)
    with pytest.raises(RuntimeError, match=r"get_state\(\) gives no has_jumped, .*, handbrake_val$"):
        calls.check(gym, [object()])
    for changed in (
        (*gym[:4], gym[4][:, :-1], gym[5]),  # a number less
        (*gym[:2], np.ascontiguousarray(gym[2]), *gym[3:]),  # rows one after the other
        (gym[0].astype(np.float64), *gym[1:]),
    ):
        with pytest.raises(RuntimeError, match=r"get_gym_state\(\) gives .* not float32 \("):
            calls.check(changed, reals)
