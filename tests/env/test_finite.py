"""Steps that give a number that is not finite: taken back, named, kept, and nothing else changes by them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import RocketSim
from numpy.typing import NDArray

from rlbot.env import BatchEnv, Rules, replay
from rlbot.env.batch import BROKEN
from rlbot.env.finite import all_finite
from rlbot.env.nonfinite import NonFinite, NonFiniteCount, merged
from rlbot.env.observation import columns
from rlbot.reward import Reward, Term
from rlbot.sim import load_meshes
from tests.conftest import random_controls

TEAMS = [(1, 2), (2, 2), (1, 1)]
MIX = {"near_ball": 0.5, "anywhere": 0.5}
FAST = 1500.0  # uu/s


def fast(before: Any, after: Any) -> NDArray[np.float32]:
    """Infinite while the ball is fast."""
    speed = np.linalg.norm(after.ball_vel, axis=-1)[:, None]
    return np.where(speed > FAST, np.inf, 0.5) * after.present  # NaN where there is no car, which is not looked at


def even(before: Any, after: Any) -> NDArray[np.float32]:
    return 0.5 * after.present


def batch(function: Callable[[Any, Any], Any] = even, engine: str = "rocketsim2") -> BatchEnv:
    terms = [Term("touch", 1.0), Term("mine", 2.0, function, "mine.py:fast"), Term("speed_to_ball", 0.1)]
    load_meshes(engine=engine)
    env = BatchEnv(TEAMS, Reward(terms, ["mine"], team_spirit=0.5), MIX, Rules(), first_arena=10, engine=engine)
    env.reset(seed=4)
    return env


def test_every_value_that_is_not_finite_is_seen() -> None:
    values = np.array([0, -0.0, 1e-45, -1, np.finfo(np.float32).max, np.finfo(np.float32).min] * 7, np.float32)
    assert all_finite(values) and all_finite(values.reshape(2, 3, 7)) and all_finite(values[:0])
    for bad in (np.nan, -np.nan, np.inf, -np.inf):
        for at in (0, 17, len(values) - 1):
            spoilt = values.copy()
            spoilt[at] = bad
            assert not all_finite(spoilt)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_term_that_breaks_costs_its_arena_that_step_and_other_arenas_nothing(tmp_path: Path) -> None:
    broken, sound = batch(fast), batch(even)
    rng, seen = np.random.default_rng(0), 0
    untouched = np.ones(broken.num_envs, bool)  # the cars of arenas that were sound so far
    obs, _ = broken.reset(seed=4)
    for _ in range(600):
        controls = random_controls(rng, broken.num_envs)
        before = obs
        obs, rewards, terminated, truncated, _ = broken.step(controls)
        expected = sound.step(controls)
        over = broken.ended[broken.car_arena] == BROKEN
        untouched &= ~over
        np.testing.assert_array_equal(obs[untouched], expected[0][untouched])
        np.testing.assert_array_equal(rewards[untouched], expected[1][untouched])
        assert np.isfinite(obs).all() and np.isfinite(rewards).all()
        if over.any():
            seen += 1
            assert truncated[over].all() and not terminated[over].any() and not rewards[over].any()
            last = before.copy()
            last[:, columns("previous_action")] = 0
            np.testing.assert_array_equal(broken.final_obs[over], last[over])
            assert not broken.steps[broken.ended == BROKEN].any()  # begun anew
    assert seen >= 3 and np.isfinite(broken.term_totals.after).all() and np.isfinite(broken.counts).all()
    assert (broken.counts[:, -1] == 600).all()

    (found,) = broken.faults.values()
    assert found.first.name == "reward.terms.mine (mine.py:fast)" and found.count >= seen
    found.first.save(tmp_path / "one.npz")
    loaded = NonFinite.load(tmp_path / "one.npz")
    assert dict(loaded.place) == dict(found.first.place) and loaded.place["arena"] in (10, 11, 12)
    state0, state = replay(tmp_path / "one.npz")
    assert np.linalg.norm(state.ball_vel) > FAST and np.isinf(fast(state0, state)).any()
    assert state0.present.sum() == len(loaded.place["slots"]) == len(loaded.arrays["controls"])
    assert not np.array_equal(state0.car_pos, state.car_pos)
    names = loaded.place["terms"]
    np.testing.assert_array_equal(np.isfinite(loaded.arrays["earned"]).all(1), [name != "mine" for name in names])
    broken.clear_statistics()
    assert broken.faults == {}


def poisoned(env: BatchEnv, what: str, field: str, value: float) -> None:
    """Arena 1, with a number in RocketSim itself that nothing of the game leads to."""
    thing = env.arenas._arenas[1].ball if what == "ball" else env.arenas._cars[1][2]
    state = thing.get_state()
    setattr(state, field, RocketSim.Vec(value, 0, 0))
    thing.set_state(state)


@pytest.mark.parametrize(
    ("what", "field", "value"),
    [("car", "vel", np.nan), ("car", "pos", np.inf), ("car", "ang_vel", 1e30), ("ball", "vel", np.nan)],
)
def test_physics_that_broke_are_as_new_afterwards(what: str, field: str, value: float) -> None:
    """RocketSim refuses to tell some of these states, others it tells."""
    env, other = batch(), batch()
    rng = np.random.default_rng(1)
    for _ in range(5):
        controls = random_controls(rng, env.num_envs)
        env.step(controls)
        other.step(controls)
    poisoned(env, what, field, value)
    controls = random_controls(rng, env.num_envs)
    obs, rewards, _, truncated, _ = env.step(controls)
    expected = other.step(controls)
    assert np.isfinite(obs).all() and np.isfinite(rewards).all() and np.isfinite(env.state.memory).all()
    alone = env.car_arena != 1
    np.testing.assert_array_equal(obs[alone], expected[0][alone])
    (found,) = env.faults.values()
    assert found.first.name.startswith(f"the physics ({what}_{field}") and found.first.place["arena"] == 11
    assert env.ended.tolist() == [0, BROKEN, 0] and truncated.tolist() == [n == 1 for n in env.car_arena]
    assert not np.isfinite(found.first.arrays[f"after/{what}_{field}"]).all()
    assert all(np.isfinite(each).all() for name, each in found.first.arrays.items() if name.startswith("before/"))
    # From a placement on, its future is that of an arena that was never broken.
    fresh = batch()
    start, _ = fresh.reset(seed=9)
    np.testing.assert_array_equal(env.reset(seed=9)[0], start)
    for _ in range(15):
        controls = random_controls(rng, env.num_envs)
        for mine, theirs in zip(env.step(controls)[:4], fresh.step(controls)[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_parts_of_a_batch_put_together_tell_the_same_in_any_order() -> None:
    def found(name: str, arena: int, step: int, count: int) -> dict[str, NonFiniteCount]:
        return {name: NonFiniteCount(count, NonFinite(name, {"arena": arena, "step_of_rollout": step}, {}))}

    parts = [found("a", 3, 7, 2), found("b", 4, 1, 5), found("a", 5, 2, 1), found("a", 1, 7, 4)]
    both = merged(merged(merged(parts[0], parts[1]), parts[2]), parts[3])
    assert [(name, each.count, each.first.place["arena"]) for name, each in both.items()] == [("b", 5, 4), ("a", 7, 5)]
    again = merged(merged(parts[3], parts[2]), merged(parts[1], parts[0]))
    assert again == both and list(again) == list(both)
