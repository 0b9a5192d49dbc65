"""State mutators of RLGym's as resets: what they set is where ball, cars and pads are."""

import functools
import random
import re
from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv
from rlbot.env.own_reset import OwnReset
from rlbot.env.purity import check_resets
from rlbot.env.rlgym import adapted
from rlbot.reward import Reward
from rlbot.sim import load_meshes
from rlbot.values.target import PartError, Target

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
from rlgym.rocket_league.common_values import DOMINUS
from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, KickoffMutator

from rlbot.env.rlgym.resets import RLGymReset

SEEN: list[Any] = []


class Anything:
    """A state mutator that draws from both of the generators that RLGym's draw from."""

    def apply(self, state: Any, shared_info: dict[str, Any]) -> None:
        state.ball.position = np.array([random.uniform(-1000, 1000), 0, 800])
        state.ball.angular_velocity = np.array([1.0, -2.0, 3.0])
        for i, car in enumerate(state.cars.values()):
            car.physics.position = np.random.uniform(-2000, 2000, 3)  # noqa: NPY002 - as RLGym's do
            car.physics.position[2] = 500 + 400 * i
            car.physics.euler_angles = np.random.uniform(-1.2, 1.2, 3)  # noqa: NPY002
            car.physics.linear_velocity = np.array([300.0 * i, 100.0, -50.0])
            car.boost_amount = 10.0 + i
        SEEN.append(state)


def batch(make: Any, size: tuple[int, int], engine: str = "auto") -> BatchEnv:
    load_meshes(engine=engine)
    reset = OwnReset(1.0, adapted(make, "env.reset.mine"), "env.reset.mine")
    return BatchEnv([size], Reward([]), {"mine": reset}, engine=engine)


def test_ball_cars_and_pads_are_where_the_mutator_puts_them(engine: str) -> None:
    env = batch(Anything, (1, 2), engine)
    env.reset(seed=5)
    wanted, state = SEEN[-1], env.state
    np.testing.assert_allclose(state.ball_pos[0], wanted.ball.position, atol=0.01)
    np.testing.assert_allclose(state.ball_ang_vel[0], [1, -2, 3], atol=1e-3)
    for slot, car in zip(env.arenas.slots[0], wanted.cars.values(), strict=True):
        np.testing.assert_allclose(state.car_pos[0, slot], car.physics.position, atol=0.01)
        np.testing.assert_allclose(state.car_vel[0, slot], car.physics.linear_velocity, atol=0.01)
        np.testing.assert_allclose(state.car_forward[0, slot], car.physics.forward, atol=1e-5)
        np.testing.assert_allclose(state.car_up[0, slot], car.physics.up, atol=1e-5)
        assert state.car_boost[0, slot] == pytest.approx(car.boost_amount)
    assert not state.pad_timer.any()


def test_boost_pads_come_back_when_the_mutator_says() -> None:
    taken = functools.partial(Changed, lambda state: state.boost_pad_timers.__setitem__(3, 7.5))
    env = batch(taken, (1, 1), "rocketsim2")
    env.reset(seed=0)
    assert env.state.pad_timer[0, 3] == 7.5 and np.count_nonzero(env.state.pad_timer[0]) == 1


def test_starts_follow_from_the_seed_and_leave_the_generators_alone() -> None:
    env = batch(Anything, (1, 1))
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    starts = [env.reset(seed=seed)[0] for seed in (3, 3, 4)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).any()
    after = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert after == (random.random(), np.random.rand())  # noqa: NPY002
    check_resets(env)


def test_mutators_of_rlgym_and_rlgym_tools() -> None:
    env = batch(KickoffMutator, (2, 2))
    env.reset(seed=0)
    assert env.state.ball_pos[0, :2].tolist() == [0, 0] and (env.state.car_boost[0] > 33).all()
    np.testing.assert_allclose(env.state.car_pos[0, :2, :2], -env.state.car_pos[0, 2:, :2])
    random_physics = pytest.importorskip(
        "rlgym_tools.rocket_league.state_mutators.random_physics_mutator", reason="needs rlgym-tools: extra rlgym"
    ).__name__
    one = {"_target_": f"{random_physics}.RandomPhysicsMutator"}
    own = Target(f"{random_physics}.RandomPhysicsMutator", {})
    several = Target("rlgym.rocket_league.state_mutators.MutatorSequence", {"_args_": [one, one]})
    for target in (own, several):
        env = batch(target.load("env.reset.mine"), (2, 1))
        heights = np.array([env.reset(seed=seed)[0][:, 2] for seed in range(5)])
        assert np.isfinite(heights).all() and env.state.car_pos[0, 0, 2] > 100
        check_resets(env)


class Changed:
    def __init__(self, change: Any) -> None:
        self.change = change

    def apply(self, state: Any, shared_info: dict[str, Any]) -> None:
        self.change(state)


REFUSED: dict[str, Any] = {
    "fails: AssertionError": FixedTeamSizeMutator,
    "leaves 0 blue and 1 orange cars; the arena has 1": lambda state: state.cars.pop("blue-0"),
    "gravity, boost_consumption and dodge": lambda state: setattr(state.config, "gravity", 2),
    "the hitbox of the Octane": lambda state: setattr(state.cars["blue-0"], "hitbox_type", DOMINUS),
    "outside the field": lambda state: setattr(state.ball, "position", np.array([0, 9000, 0])),
    "fails: ZeroDivisionError: division by zero": lambda state: 1 / 0,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_set_is_refused(message: str) -> None:
    change = REFUSED[message]
    make = change if isinstance(change, type) else functools.partial(Changed, change)
    with pytest.raises(PartError, match=f"env.reset.mine.*{re.escape(message)}"):
        batch(make, (1, 1)).reset(seed=0)


def test_a_mutator_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(PartError, match=r"env.reset.mine fails: TypeError"):
        RLGymReset(Changed, "env.reset.mine")  # type: ignore[arg-type]
