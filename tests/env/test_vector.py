"""RocketSim-v0 as a vector environment, and Gymnasium's wrappers around it and around the batch."""

import multiprocessing
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import vector

import rlbot
from rlbot.env import ACTION_TABLE, BatchEnv, RocketSimEnv, RocketSimVectorEnv, Rules
from rlbot.env.action import NonFiniteControls
from rlbot.reward import Reward, Term
from tests.conftest import random_controls

SHORT = Rules(time_limit=1.0, no_touch_limit=0.8)  # 15 and 12 steps
TERMS = {"touch": 1.0, "speed_to_ball": 0.1}


def games(mode: AutoresetMode = AutoresetMode.SAME_STEP, **arguments: Any) -> VectorEnv:
    arguments = {"orange": 2, "opponent": "random", "rules": SHORT, "terms": TERMS, **arguments}
    return gymnasium.make_vec("RocketSim-v0", num_envs=3, autoreset_mode=mode, **arguments)


def batch(mode: AutoresetMode) -> VectorEnv:
    items = [Term(name, weight) for name, weight in TERMS.items()]
    return BatchEnv([(1, 1), (2, 1)], Reward(items), {"near_ball": 1.0}, SHORT, autoreset_mode=mode)


def test_make_vec_gives_one_batch_of_the_same_game() -> None:
    """Arena n of a batch seeded with s is the arena n of any batch seeded with s."""
    env = games(opponent="idle")
    assert isinstance(env.unwrapped, RocketSimVectorEnv) and env.num_envs == 3
    assert env.observation_space.shape == (3, 180) and env.action_space.shape == (3, 8)
    alone = RocketSimEnv(1, 2, "idle", TERMS, rules=SHORT)
    obs, info = env.reset(seed=4)
    first, _ = alone.reset(seed=4)
    assert info == {} and obs.shape == (3, 180) and len(np.unique(obs[:, 0])) == 3
    rng, ends = np.random.default_rng(0), 0
    np.testing.assert_array_equal(obs[0], first)
    for _ in range(12):
        actions = random_controls(rng, 3)
        obs, rewards, terminated, truncated, info = env.step(actions)
        one, reward, end, limit, _ = alone.step(actions[0])
        np.testing.assert_array_equal(info["final_obs"][0] if end or limit else obs[0], one)
        assert (rewards[0], terminated[0], truncated[0]) == (np.float32(reward), end, limit)
        ends += bool(info)
    assert ends == 1 and info["_final_obs"].all() and info["final_info"]["ended"].tolist() == [3, 3, 3]
    assert env.unwrapped.state.ball_pos.shape == (3, 3)  # type: ignore[attr-defined]


def test_discrete_actions_choose_rows_of_the_table() -> None:
    env, same = games(discrete=True), games()
    assert env.action_space == gymnasium.spaces.MultiDiscrete([90] * 3)
    np.testing.assert_array_equal(env.reset(seed=4)[0], same.reset(seed=4)[0])
    for _ in range(20):
        choices = env.action_space.sample()
        for mine, theirs in zip(env.step(choices)[:4], same.step(ACTION_TABLE[choices])[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match=re.escape("actions of shape (3, 8): must be of shape (3,)")):
        env.step(np.zeros((3, 8)))


@pytest.mark.parametrize(("context", "discrete"), [("fork", True), ("spawn", False)])
def test_processes_of_gymnasium_play_the_same_games_as_its_loop(context: str, discrete: bool) -> None:
    """With one seed a game, as Gymnasium gives them to environments of their own."""
    if context not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    played = []
    for mode, more in (("sync", {}), ("async", {"context": context})):
        env = gymnasium.make_vec(
            "rlbot:RocketSim-v0", num_envs=2, vectorization_mode=mode, vector_kwargs=more, rules=SHORT,
            discrete=discrete,
        )  # fmt: skip
        rng, rows = np.random.default_rng(0), [env.reset(seed=3)[0]]
        assert env.single_observation_space.dtype == np.float32 and env.observation_space.shape == (2, 180)
        for _ in range(17):  # over the end of an episode
            actions = rng.integers(90, size=2) if discrete else random_controls(rng, 2)
            obs, rewards, terminated, truncated, _ = env.step(actions)
            rows.append(np.concatenate([obs, rewards[:, None], terminated[:, None], truncated[:, None]], 1)[:, -180:])
        played.append(np.concatenate(rows))
        env.close()
        env.close()
    np.testing.assert_array_equal(*played)


def test_without_a_seed_no_two_arenas_and_no_two_batches_are_equal() -> None:
    apart = {"anywhere": 1.0}  # two kickoffs may well be the same
    starts = np.concatenate([games(reset_mix=apart).reset()[0] for _ in range(2)])
    assert len(np.unique(starts, axis=0)) == 6
    sync = gymnasium.make_vec("RocketSim-v0", num_envs=4, vectorization_mode="sync", reset_mix=apart)
    assert len(np.unique(sync.reset()[0], axis=0)) == 4


def test_the_opponent_plays_the_other_cars_of_all_arenas_at_once() -> None:
    seen: list[Any] = []

    def opponent(observations: Any) -> Any:
        seen.append(observations.copy())
        return np.tile(np.array([1, 0, 0, 0, 0, 0, 1, 0], np.float32), (len(observations), 1))

    env = games(opponent=opponent, reset_mix={"kickoff": 1.0})
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.zeros((3, 8)))
    speed = np.linalg.norm(env.unwrapped.state.car_vel, axis=2)  # type: ignore[attr-defined]
    assert seen[0].shape == (6, 180) and (speed[:, 2:] > 300).all() and (speed[:, 0] < 10).all()


def test_controls_of_the_opponent_that_are_not_finite_name_the_arena() -> None:
    env = games(opponent=lambda observations: np.where(np.arange(6)[:, None] == 3, np.nan, np.zeros((6, 8))))
    env.reset(seed=0)
    message = "controls of opponent[3] holds nan for throttle: must be finite numbers (slot 3 of arena 1)"
    with pytest.raises(NonFiniteControls, match=f"^{re.escape(message)}$"):
        env.step(np.zeros((3, 8)))
    with pytest.raises(ValueError, match=re.escape("num_envs=0: must be at least 1")):
        gymnasium.make_vec("RocketSim-v0", num_envs=0)


@pytest.mark.parametrize("call", ["make('rlbot:RocketSim-v0')", "make_vec('rlbot:RocketSim-v0', num_envs=2)"])
@pytest.mark.parametrize("before", ["import gymnasium", "import rlbot, gymnasium"])
def test_gymnasium_finds_it_by_the_name_of_the_package(before: str, call: str) -> None:
    code = f"{before}; env = gymnasium.{call}; print(env.reset(seed=0)[0].shape[-1], env.spec.id)"
    root = Path(rlbot.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1:] == ["180 RocketSim-v0"], done.stderr


WRAPPERS: dict[str, Callable[[VectorEnv], VectorEnv]] = {
    "DictInfoToList": vector.DictInfoToList,
    "RecordEpisodeStatistics": vector.RecordEpisodeStatistics,
    "DictInfoToList of RecordEpisodeStatistics": lambda e: vector.DictInfoToList(vector.RecordEpisodeStatistics(e)),
    "NormalizeReward": vector.NormalizeReward,
    "NormalizeObservation": vector.NormalizeObservation,
    "TransformObservation": lambda e: vector.TransformObservation(e, lambda obs: obs * 2),
    "FlattenObservation": vector.FlattenObservation,
    "ReshapeObservation": lambda e: vector.ReshapeObservation(e, (18, 10)),
    "RescaleObservation": lambda e: vector.RescaleObservation(e, np.float32(-1), np.float32(1)),
    "DtypeObservation": lambda e: vector.DtypeObservation(e, np.float64),
    "TransformAction": lambda e: vector.TransformAction(e, lambda action: action / 2),
    "ClipAction": vector.ClipAction,
    "RescaleAction": lambda e: vector.RescaleAction(e, np.float32(0), np.float32(1)),
    "TransformReward": lambda e: vector.TransformReward(e, lambda reward: reward * 2),
    "ClipReward": lambda e: vector.ClipReward(e, -0.01, 0.01),
    "NumpyToTorch": lambda e: vector.NumpyToTorch(e),
}
# Gymnasium refuses any other mode there, and cannot turn an array of observations and None into PyTorch's.
NEED_NEXT_STEP = {"NumpyToTorch", *(name for name in WRAPPERS if name.endswith("Observation"))}
CASES = [
    (name, mode)
    for name in WRAPPERS
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP)
    if mode == AutoresetMode.NEXT_STEP or name not in NEED_NEXT_STEP
]


@pytest.mark.parametrize("make", [games, batch])
@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name} {mode.value}" for name, mode in CASES])
def test_gymnasiums_vector_wrappers_work(name: str, mode: AutoresetMode, make: Callable[..., VectorEnv]) -> None:
    if name == "NumpyToTorch":
        pytest.importorskip("array_api_compat", reason="Gymnasium's conversion to PyTorch needs it")
    env = WRAPPERS[name](make(mode))
    obs, _ = env.reset(seed=1)
    assert obs.shape == env.observation_space.shape
    rng, ends = np.random.default_rng(0), 0
    for _ in range(40):
        actions: Any = random_controls(rng, env.num_envs)
        if name == "NumpyToTorch":
            actions = torch.from_numpy(actions)
        if name == "RescaleAction":
            actions = np.abs(actions)
        obs, rewards, terminated, truncated, info = env.step(actions)
        over = np.asarray(terminated) | np.asarray(truncated)
        ends += int(over.sum())
        assert obs.shape == env.observation_space.shape and np.isfinite(np.asarray(obs)).all()
        assert len(rewards) == env.num_envs and np.isfinite(np.asarray(rewards)).all()
        if not over.any():
            continue
        if isinstance(info, list):
            last = [row for row, end in zip(info, over, strict=True) if end]
            assert [bool(row) for row in info] == over.tolist()
            if mode == AutoresetMode.SAME_STEP:
                assert all(row["final_obs"].shape == (180,) and row["final_info"]["ended"] for row in last)
            else:
                assert all(row["ended"] for row in last)
            assert name == "DictInfoToList" or all(0 < row["episode"]["l"] <= 15 for row in last)
        elif name == "RecordEpisodeStatistics":
            assert (info["_episode"] == over).all() and (info["episode"]["l"][over] > 0).all()
        elif mode == AutoresetMode.SAME_STEP:
            final_obs = info["final_obs"][int(over.argmax())]
            assert final_obs.shape == env.single_observation_space.shape
    assert ends >= 4


def test_a_video_of_it_is_refused_by_gymnasium_and_by_us() -> None:
    """RecordVideo and HumanRendering ask for a render mode, of which there is none."""
    with pytest.raises(ValueError, match="render_mode='rgb_array': this environment draws nothing"):
        gymnasium.make_vec("RocketSim-v0", num_envs=2, render_mode="rgb_array")
