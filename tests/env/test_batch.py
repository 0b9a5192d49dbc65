"""The batch of arenas: endings, final observations, seeds, mixed team sizes, snapshots."""

import math
import pickle
import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlbot.env import BatchEnv, Rules
from rlbot.env.action import NonFiniteControls
from rlbot.env.counts import COUNTS
from rlbot.env.observation import columns
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
        seen += [env.final_obs[over]] if info else []
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
    assert env.ended.tolist() == [1, 0] and info["final_info"]["ended"].tolist() == [1, 1, 0, 0]
    for mask in (info["_final_obs"], info["_final_info"], info["final_info"]["_ended"]):
        assert mask.tolist() == [True, True, False, False]
    # ball.pos[1], in each car's team frame, is behind the goal line in the final observation, and nowhere near after it
    assert info["final_obs"][0][1] > 5120 / 2300 and info["final_obs"][1][1] < -5120 / 2300
    assert info["final_obs"].tolist()[2:] == [None, None]
    np.testing.assert_array_equal(np.stack(info["final_obs"][:2]), env.final_obs[:2])
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
    assert env.ended.tolist() == [3] and info["final_info"]["ended"].tolist() == [3, 3]


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
    with pytest.raises(ValueError, match="other team sizes"):
        batch(TEAMS[:2]).restore(arrays, document)


def test_rewards_are_those_of_the_books() -> None:
    env = batch(TEAMS)
    env.reset(seed=2)
    rewards = sum(env.step(random_controls(np.random.default_rng(i), env.num_envs))[1] for i in range(50))
    np.testing.assert_allclose(rewards, env.term_totals.after.sum(1), rtol=1e-5, atol=1e-5)
    assert (env.counts[:, COUNTS.index("steps")] == 50).all()
    env.clear_statistics()
    assert not env.term_totals.after.any() and not env.counts.any()


def test_without_a_seed_every_batch_is_another_and_goes_on_from_its_own_numbers() -> None:
    one, other = batch(TEAMS), batch(TEAMS)
    starts = [one.reset()[0], other.reset()[0], one.reset()[0]]
    assert all((a != b).any() for a, b in combinations(starts, 2))
    assert len({one.np_random_seed, other.np_random_seed}) == 2
    seeded = []
    for env in (one, other):
        seeded.append([env.reset(seed=8)[0], env.reset()[0], env.reset(seed=None)[0]])
        assert env.np_random_seed == 8
    assert_equal(*seeded)
    assert all((a != b).any() for a, b in combinations(seeded[0], 2))


WRONG_ACTIONS = [
    (17, "actions=17: must be of shape (5, 8)"),
    (None, "actions=None: must be of shape (5, 8)"),
    ("full throttle", "actions='full throttle': must be an array of numbers"),
    ([[1.0], [1.0, 2.0]], "must be an array of numbers of shape (5, 8)"),
    (np.zeros(8), "actions of shape (8,): must be of shape (5, 8)"),
    (np.zeros(1), "actions of shape (1,)"),
    (np.zeros((1, 8)), "actions of shape (1, 8)"),
    (np.zeros((5, 1)), "actions of shape (5, 1)"),
    (np.zeros((5, 9)), "actions of shape (5, 9)"),
    (np.zeros((1, 5, 8)), "actions of shape (1, 5, 8)"),
    (np.zeros(40), "actions of shape (40,)"),
    (np.zeros((0, 8)), "actions of shape (0, 8)"),
]


@pytest.mark.parametrize(("actions", "message"), WRONG_ACTIONS, ids=[message[:40] for _, message in WRONG_ACTIONS])
def test_actions_of_another_shape_are_refused_and_change_nothing(actions: Any, message: str) -> None:
    env, other = batch(TEAMS[:2]), batch(TEAMS[:2])
    for each in (env, other):
        each.reset(seed=1)
    with pytest.raises(ValueError, match=re.escape(message)):
        env.step(actions)
    controls = random_controls(np.random.default_rng(0), 5)
    assert_equal(list(env.step(controls)[:4]), list(other.step(controls)[:4]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_is_refused_and_its_car_named(value: float) -> None:
    env = BatchEnv(TEAMS, Reward(TERMS), MIX, first_arena=7)
    env.reset(seed=1)
    actions = np.zeros((env.num_envs, 8), np.float32)
    actions[4, 1] = value
    message = rf"^actions\[4\] holds {value} for steer: must be finite numbers \(orange, slot 3 of arena 8\)$"
    with pytest.raises(NonFiniteControls, match=message) as caught:
        env.step(actions)
    again = pickle.loads(pickle.dumps(caught.value))  # a worker process hands it over
    assert (str(again), again.row) == (str(caught.value), 4)
    assert env.faults == {} and not env.steps.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
def test_actions_beyond_the_limits_are_clipped(dtype: Any) -> None:
    seen = []
    for limit in (1, 100):
        env = batch(TEAMS)
        env.reset(seed=3)
        rows = np.random.default_rng(0).integers(-1, 2, (20, env.num_envs, 8))
        seen.append([env.step((row * limit).astype(dtype))[0] for row in rows])
    assert_equal(*seen)
    assert np.abs(seen[0][-1][:, columns("previous_action")]).max() == 1


def test_a_next_step_batch_plays_the_same_episodes_a_step_apart() -> None:
    """Both are given the same controls in the same step of the same episode."""
    one = batch(TEAMS, no_touch_limit=1.0)
    two = BatchEnv(TEAMS, Reward(TERMS), MIX, Rules(no_touch_limit=1.0), autoreset_mode=AutoresetMode.NEXT_STEP)
    assert two.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP != BatchEnv.metadata["autoreset_mode"]
    played = []
    for env in (one, two):
        rngs = [np.random.default_rng(n) for n in range(len(TEAMS))]
        obs, _ = env.reset(seed=2)
        rows: list[list[Any]] = [[obs[env.car_arena == n]] for n in range(len(TEAMS))]
        over = np.zeros(env.num_envs, bool)
        for _ in range(70):
            starting = over if env is two else np.zeros(env.num_envs, bool)
            controls = np.concatenate(
                [
                    np.full((cars.sum(), 8), 0.3, np.float32)
                    if starting[cars].any()
                    else random_controls(rng, int(cars.sum()))
                    for rng, cars in zip(rngs, [env.car_arena == n for n in range(len(TEAMS))], strict=True)
                ]
            )
            obs, rewards, terminated, truncated, info = env.step(controls)
            over = terminated | truncated
            assert not (over | (rewards != 0))[starting].any()
            if env is two and over.any():
                assert set(info) == {"ended", "_ended"} and (info["_ended"] == over).all()
            for n in range(len(TEAMS)):
                cars = env.car_arena == n
                if env is one and over[cars].any():
                    rows[n] += [env.final_obs[cars], rewards[cars], terminated[cars], truncated[cars]]
                    rows[n] += [obs[cars]]
                elif starting[cars].any():
                    rows[n] += [obs[cars]]
                else:
                    rows[n] += [obs[cars], rewards[cars], terminated[cars], truncated[cars]]
        played.append(rows)
    for same, following in zip(*played, strict=True):
        length = min(len(same), len(following))
        assert length > 200
        assert_equal(same[:length], following[:length])
    starts = [int((two.car_arena == n).argmax()) for n in range(len(TEAMS))]
    lost = 70 - two.counts[starts, COUNTS.index("steps")]  # steps that began an episode are counted nowhere
    assert (lost >= 3).all() and two.term_totals.after.any()


def test_a_next_step_batch_goes_on_from_a_snapshot_between_two_episodes() -> None:
    rules = Rules(time_limit=1.0, no_touch_limit=None)
    env, other = (BatchEnv(TEAMS, Reward(TERMS), MIX, rules, autoreset_mode=AutoresetMode.NEXT_STEP) for _ in range(2))
    env.reset(seed=1)
    record(env, 15, 0)
    arrays, document = env.snapshot()
    assert arrays["waiting"].all()
    futures = [[each.restore(arrays, document), *record(each, 20, 2)] for each in (env, other)]
    assert_equal(*futures)
    with pytest.raises(ValueError, match="autoreset_mode=Disabled: must be SameStep or NextStep"):
        BatchEnv(TEAMS, Reward(TERMS), MIX, autoreset_mode=AutoresetMode.DISABLED)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"team_sizes": []}, "team_sizes=[]: needs at least one arena"),
        ({"team_sizes": [(1, 1), (4, 1)]}, "team_sizes.1=(4, 1): must be (blue, orange), 0 to 3 cars each"),
        ({"team_sizes": [(0, 0)]}, "team_sizes.0=(0, 0): must be"),
        ({"team_sizes": [(1, 1, 1)]}, "team_sizes.0=(1, 1, 1): must be"),
        ({"team_sizes": [(1.5, 1)]}, "team_sizes.0=(1.5, 1): must be"),
        ({"rules": {"tick_skip": 8}}, "rules={'tick_skip': 8}: must be rlbot.env.Rules(...)"),
        ({"reset_mix": {}}, "reset_mix={}: at least one share must be above 0"),
        ({"autoreset_mode": "sometimes"}, "'sometimes' is not a valid AutoresetMode"),
    ],
)
def test_arguments_that_do_not_exist_are_refused(wrong: dict[str, Any], message: str) -> None:
    given = {"team_sizes": [(1, 1)], "reward": Reward([]), "reset_mix": MIX} | wrong
    with pytest.raises(ValueError, match=re.escape(message)):
        BatchEnv(**given)
