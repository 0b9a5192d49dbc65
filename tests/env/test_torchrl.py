"""TorchRL's wrappers around the environments: its own check, groups of agents, resets within a batch."""

from typing import Any

import gymnasium
import pytest
import torch

from rlbot.env import BatchEnv, Rules
from rlbot.reward import Reward, Term

pytest.importorskip("torchrl", reason="needs torchrl")
from torchrl.envs import GymEnv, GymWrapper, PettingZooWrapper
from torchrl.envs.utils import check_env_specs

SHORT = Rules(time_limit=1.0)  # 15 steps


def test_one_car() -> None:
    env = GymWrapper(gymnasium.make("RocketSim-v0", rules=SHORT))
    check_env_specs(env)
    episode = env.rollout(30)
    assert episode.shape == (15,) and episode["next", "truncated"].sum() == 1 and episode["action"].shape == (15, 8)
    chosen = GymEnv("RocketSim-v0", discrete=True, categorical_action_encoding=True)
    check_env_specs(chosen)
    assert chosen.action_spec.space.n == 90


def test_agents_are_grouped_by_their_teams() -> None:
    pytest.importorskip("pettingzoo", reason="needs pettingzoo: extra pettingzoo")
    from rlbot.env import parallel_env

    env = PettingZooWrapper(parallel_env(2, 1, rules=SHORT))
    check_env_specs(env)
    assert env.group_map == {"blue": ["blue_0", "blue_1"], "orange": ["orange_0"]}
    episode = env.rollout(30)
    assert episode.shape == (15,) and episode["blue", "observation"].shape == (15, 2, 180)


def batch() -> BatchEnv:
    return BatchEnv([(1, 1), (2, 1)], Reward([Term("touch", 1.0)]), {"near_ball": 1.0}, SHORT)


@pytest.mark.parametrize("make", [lambda: gymnasium.make_vec("RocketSim-v0", num_envs=5, rules=SHORT), batch])
def test_a_batch_ends_with_the_last_observation_and_goes_on_with_the_next_episode(make: Any) -> None:
    env = GymWrapper(make())
    check_env_specs(env)
    played = env.rollout(40, break_when_any_done=False)
    assert played.shape == (5, 40)
    over = played["next", "truncated"].squeeze(-1)
    assert over.nonzero()[:, 1].tolist() == [14, 29] * 5
    following = (played["next", "observation"][:, :-1] == played["observation"][:, 1:]).all(-1)
    assert torch.equal(following, ~over[:, :-1])
