"""stable-baselines3's view of a batch: its own rules of infos, its wrappers, its PPO."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import rlbot
from rlbot.env import ACTION_TABLE, BatchEnv, RocketSimEnv, RocketSimVectorEnv, Rules
from rlbot.env.action_mask import allowed
from rlbot.reward import Reward, Term
from tests.conftest import random_controls

sb3 = pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: extra dev")
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize  # noqa: E402

from rlbot.env import SB3VecEnv  # noqa: E402

SHORT = Rules(time_limit=1.0)  # 15 steps


def batch(**arguments: Any) -> BatchEnv:
    items = [Term("touch", 1.0), Term("speed_to_ball", 0.1)]
    return BatchEnv([(1, 1), (2, 1)], Reward(items), {"near_ball": 1.0}, SHORT, **arguments)


def test_rows_are_those_of_the_batch_and_infos_those_of_stable_baselines() -> None:
    envs, same = SB3VecEnv(batch()), batch()
    assert envs.num_envs == 5 and envs.action_space.shape == (8,) and envs.observation_space.shape == (180,)
    envs.seed(7)
    np.testing.assert_array_equal(envs.reset(), same.reset(seed=7)[0])
    rng = np.random.default_rng(0)
    for step in range(15):
        controls = random_controls(rng, 5)
        observations, rewards, dones, infos = envs.step(controls)
        wanted = same.step(controls)
        np.testing.assert_array_equal(observations, wanted[0])
        np.testing.assert_array_equal(rewards, wanted[1])
        assert dones.dtype == bool and dones.tolist() == [step == 14] * 5
    for row, info in enumerate(infos):
        assert info.pop("terminal_observation") is not observations[row]
        assert info == {"TimeLimit.truncated": True, "ended": 3}
    np.testing.assert_array_equal(observations, same._observe())
    with pytest.raises(ValueError, match="envs are in autoreset mode NextStep: must be SameStep"):
        SB3VecEnv(batch(autoreset_mode="NextStep"))


def test_it_is_what_stable_baselines_makes_of_single_environments() -> None:
    """Arena 0 of a batch plays the game of an environment with the same seed."""
    arguments: dict[str, Any] = {"rules": SHORT, "terms": {"touch": 1.0, "speed_to_ball": 0.1}}
    ours = SB3VecEnv(gymnasium.make_vec("RocketSim-v0", num_envs=3, **arguments).unwrapped)
    theirs = DummyVecEnv([lambda: RocketSimEnv(**arguments)])
    ours.seed(3), theirs.seed(3)
    assert ours.reset_infos == [{}, {}, {}] and ours.get_attr("render_mode") == [None] * 3
    np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])
    rng = np.random.default_rng(0)
    for _ in range(15):
        controls = random_controls(rng, 3)
        one, other = ours.step(controls), theirs.step(controls[:1])
        for mine, its in zip(one[1:3], other[1:3], strict=True):
            assert mine[0] == its[0]
        last = [infos[0].get("terminal_observation", observations[0]) for observations, _, _, infos in (one, other)]
        np.testing.assert_array_equal(*last)
    assert one[3][0]["TimeLimit.truncated"] is other[3][0]["TimeLimit.truncated"] is True


def test_a_goal_is_no_time_limit() -> None:
    envs = SB3VecEnv(BatchEnv([(1, 1)] * 60, Reward([]), {"shot": 1.0}, Rules(time_limit=3.0)), discrete=True)
    (straight,) = np.flatnonzero((ACTION_TABLE == [1, 0, 0, 0, 0, 0, 1, 0]).all(1))
    envs.seed(0)
    envs.reset()
    ends = [info for _ in range(45) for info in envs.step(np.full(120, straight))[3] if info]
    assert {info["ended"] for info in ends} >= {1, 2, 3}
    assert all(info["TimeLimit.truncated"] == (info["ended"] == 3) for info in ends)


@pytest.mark.parametrize("discrete", [False, True])
def test_ppo_trains_through_monitor_and_normalize(discrete: bool) -> None:
    envs = VecNormalize(VecMonitor(SB3VecEnv(batch(), discrete)))
    model = sb3.PPO("MlpPolicy", envs, n_steps=32, batch_size=80, n_epochs=2, seed=0, device="cpu")
    before = [weights.detach().clone() for weights in model.policy.parameters()]
    model.learn(320)
    assert model.num_timesteps == 320 and any(
        (a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True)
    )
    assert {episode["l"] for episode in model.ep_info_buffer} == {15}
    rewards, lengths = evaluate_policy(model, envs, n_eval_episodes=5, return_episode_rewards=True)
    assert lengths == [15] * 5 and np.isfinite(rewards).all()
    envs.close()
    envs.close()


def test_a_game_against_an_opponent_is_a_batch_too() -> None:
    game = gymnasium.make_vec("RocketSim-v0", num_envs=3, opponent="random", discrete=True, rules=SHORT)
    assert game.unwrapped is game
    model = sb3.PPO("MlpPolicy", SB3VecEnv(game), n_steps=16, batch_size=48, n_epochs=1, device="cpu")
    assert model.learn(48).num_timesteps == 48


def test_without_stable_baselines_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['stable_baselines3'] = None; import rlbot.env; rlbot.env.SB3VecEnv"
    root = Path(rlbot.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    wanted = "ImportError: SB3VecEnv needs stable-baselines3: pip install stable-baselines3"
    assert done.stderr.splitlines()[-1:] == [wanted]


@pytest.mark.parametrize("what", ["cars", "games", "games by rows"])
def test_action_masks_are_where_maskable_ppo_asks_for_them(what: str) -> None:
    """sb3-contrib asks has_attr("action_masks"), then env_method("action_masks") for a row of each environment."""
    games = RocketSimVectorEnv(3, discrete=what == "games")
    inner = batch() if what == "cars" else games
    envs = VecMonitor(SB3VecEnv(inner, discrete=what != "games"))
    envs.reset()
    masks = np.stack(envs.env_method("action_masks"))
    assert envs.has_attr("action_masks") and masks.shape == (envs.num_envs, 90) and masks.dtype == np.bool_
    batched = inner if what == "cars" else games._batch
    rows = np.arange(5) if what == "cars" else games._mine
    np.testing.assert_array_equal(masks, allowed(batched, rows, ACTION_TABLE))
    np.testing.assert_array_equal(envs.env_method("action_masks", indices=[1])[0], masks[1])
