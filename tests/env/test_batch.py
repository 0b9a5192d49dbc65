"""The batch of arenas: endings, final observations, seeds, mixed team sizes, snapshots."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.env import BatchEnv, Rules
from rlbot.env.batch import COUNTS
from rlbot.reward import Reward, Term
from rlbot.sim import CarPlacement, Placement
from tests.conftest import random_controls

MIX = {"kickoff": 0.2, "near_ball": 0.5, "airborne": 0.1, "anywhere": 0.2}
TEAMS = [(1, 1), (1, 2), (2, 1), (2, 2)]
TERMS = [Term("touch", 1.0), Term("goal", 10.0), Term("concede", -8.0), Term("speed_to_ball", 0.1)]


def batch(team_sizes: list[tuple[int, int]], **rules: Any) -> BatchEnv:
    return BatchEnv(team_sizes, Reward(TERMS), MIX, Rules(**rules))


def record(env: BatchEnv, steps: int, seed: int) -> list[NDArray[Any]]:
    rng, seen = np.random.default_rng(seed), []
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(random_controls(rng, env.num_envs))
        over = terminated | truncated
        seen += [obs, reward, terminated, truncated]
        seen += [info["final_obs"][over]] if info else []
    return seen


def assert_equal(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_play_also_in_a_used_environment() -> None:
    env = batch(TEAMS, no_touch_limit=1.0)
    first = [env.reset(seed=3)[0], *record(env, 60, 0)]
    again = [env.reset(seed=3)[0], *record(env, 60, 0)]
    assert_equal(first, again)
    other = env.reset(seed=4)[0]
    assert not np.array_equal(other, first[0])


def test_arenas_do_not_depend_on_which_batch_they_are_in() -> None:
    whole, part = batch(TEAMS, no_touch_limit=1.0), None
    part = BatchEnv(TEAMS[2:], Reward(TERMS), MIX, Rules(no_touch_limit=1.0), first_arena=2)
    a, b = whole.reset(seed=5)[0], part.reset(seed=5)[0]
    np.testing.assert_array_equal(a[5:], b)
    rng = np.random.default_rng(0)
    for _ in range(40):
        controls = random_controls(rng, whole.num_envs)
        a, b = whole.step(controls)[0], part.step(controls[5:])[0]
        np.testing.assert_array_equal(a[5:], b)


def shot(env: BatchEnv, y_speed: float) -> None:
    """Arena 0: the ball flies into a goal; the cars are far away."""
    cars = [CarPlacement((3000.0, 0.0, 17.0), 0.0), CarPlacement((-3000.0, 0.0, 17.0), 0.0)]
    y = math.copysign(4900.0, y_speed)
    env.arenas.place(0, Placement(cars, (0.0, y, 200.0), (0.0, y_speed, 0.0)), env.state)


def test_a_goal_terminates_and_the_final_observation_is_of_the_old_episode() -> None:
    env = batch([(1, 1), (1, 1)])
    env.reset(seed=0)
    shot(env, 3000.0)
    idle = np.zeros((4, 8), np.float32)
    for _ in range(10):
        obs, reward, terminated, truncated, info = env.step(idle)
        if info:
            break
    assert terminated.tolist() == [True, True, False, False] and not truncated.any()
    assert info["ended"].tolist() == [1, 0]
    # ball.pos[1], in each car's team frame, is behind the goal line in the final observation, and nowhere near after it
    assert info["final_obs"][0, 1] > 5120 / 2300 and info["final_obs"][1, 1] < -5120 / 2300
    assert abs(obs[0, 1]) < 5120 / 2300
    assert reward[0] > 9 and reward[1] < -7
    counts = dict(zip(COUNTS, env.counts.T, strict=True))
    assert counts["goals"].tolist() == [1, 0, 0, 0] and counts["conceded"].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("limit", "steps"), [({"time_limit": 2.0, "no_touch_limit": None}, 30), ({"no_touch_limit": 1.0}, 15)]
)
def test_limits_truncate_at_their_time(limit: dict[str, float], steps: int) -> None:
    env = BatchEnv([(1, 1)], Reward(TERMS), {"kickoff": 1.0}, Rules(**limit))
    env.reset(seed=0)
    for step in range(1, steps + 1):
        _, _, terminated, truncated, info = env.step(np.zeros((2, 8), np.float32))
        assert not terminated.any() and truncated.all() == (step == steps), step
    assert info["ended"].tolist() == [3]


def test_a_goal_on_the_last_step_of_the_limit_terminates_only() -> None:
    env = batch([(1, 1)], time_limit=8 / 120)
    env.reset(seed=0)
    shot(env, 6000.0)
    env.arenas.place(
        0,
        Placement(
            [CarPlacement((3000, 0, 17), 0), CarPlacement((-3000, 0, 17), 0)], (0, 5200.0, 200.0), (0, 6000.0, 0)
        ),
        env.state,
    )
    _, _, terminated, truncated, _ = env.step(np.zeros((2, 8), np.float32))
    assert terminated.all() and not truncated.any()


def test_a_touch_restarts_the_no_touch_clock() -> None:
    env = batch([(1, 1)], no_touch_limit=1.0, time_limit=None)
    env.reset(seed=0)
    cars = [
        CarPlacement((0.0, -500.0, 17.0), math.pi / 2, vel=(0.0, 1500.0, 0.0)),
        CarPlacement((3000.0, 3000.0, 17.0), 0.0),
    ]
    env.arenas.place(0, Placement(cars), env.state)
    touched_at = None
    for step in range(1, 40):
        *_, truncated, _ = env.step(np.zeros((2, 8), np.float32))
        if env.counts[0, 0] and touched_at is None:
            touched_at = step
        if truncated.any():
            break
    assert touched_at is not None and step > touched_at >= 3 and step - touched_at in range(15, 18)


def test_restoring_a_snapshot_repeats_the_play_in_another_environment() -> None:
    env = batch(TEAMS, no_touch_limit=1.0)
    env.reset(seed=1)
    record(env, 50, 0)
    arrays, document = env.snapshot()
    other = batch(TEAMS, no_touch_limit=1.0)
    futures = []
    for each in (env, other):
        futures.append([each.restore(arrays, document), *record(each, 60, 2)])
    assert_equal(*futures)
    with pytest.raises(ValueError, match="cars"):
        batch(TEAMS[:2]).restore(arrays, document)


def test_rewards_are_those_of_the_books() -> None:
    env = batch(TEAMS)
    env.reset(seed=2)
    rewards = sum(env.step(random_controls(np.random.default_rng(i), env.num_envs))[1] for i in range(50))
    np.testing.assert_allclose(rewards, env.term_totals.after.sum(1), rtol=1e-5, atol=1e-5)
    assert (env.counts[:, COUNTS.index("steps")] == 50).all()
    env.clear_statistics()
    assert not env.term_totals.after.any() and not env.counts.any()
