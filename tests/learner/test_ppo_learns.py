"""Small problems with a known best policy or value."""

import numpy as np
import pytest
import torch

from rlbot.collect.rollout import Rollout
from rlbot.hardware import Hardware
from rlbot.learner import PPO
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from tests.learner.conftest import SETTINGS, Backend

TABLE = np.random.default_rng(0).choice([-1.0, 1.0], size=(20, 8))
TABLE[:2] = [[1, 0, 0, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 0, 0, 0, 0]]


def reward(side: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """On side +1 go forward and boost, on side -1 go back and do not: at best 2, at random about 0."""
    return side * (controls[:, 0] + np.where(controls[:, 6] > 0, 1.0, -1.0))


@pytest.mark.parametrize("head", ["table", "multi_discrete", "continuous"])
def test_a_bandit_with_two_contexts(head: str, backend: Backend) -> None:
    precision, device = backend
    hardware = Hardware.choose(device, precision)
    hardware.seed(0)
    model = ActorCritic(2, make_head(head, TABLE), (32,)).to(hardware.device)
    settings = SETTINGS | {"learning_rate": 3e-3, "epochs": 4, "minibatch_size": 64}
    ppo = PPO(model, hardware=hardware, **settings)
    rng, generator = np.random.default_rng(0), torch.Generator(hardware.device).manual_seed(0)
    rollout = Rollout(4, 64, 2, model.head.action_shape, model.head.action_dtype)
    always, never = np.ones(64, dtype=bool), np.zeros(64, dtype=bool)
    means = []
    for _ in range(40):
        rollout.clear()
        for _ in range(4):
            side = rng.choice([-1.0, 1.0], size=64)
            obs = np.stack([side, np.ones(64)], -1).astype(np.float32)
            with torch.inference_mode():
                actions, log_probs = model.act(torch.from_numpy(obs).to(hardware.device), generator=generator)
            rewards = reward(side, model.head.controls(actions).cpu().numpy())
            rollout.add(obs, actions.cpu(), log_probs.cpu(), rewards, always, never, None)
        rollout.finish(obs)
        ppo.update(rollout)
        means.append(float(rollout.rewards.mean()))
    assert means[0] < 0.6 and np.mean(means[-3:]) > 1.6


def test_the_value_of_an_endless_task_with_a_time_limit() -> None:
    # Reward 1 a step for ever, cut every 5 steps: worth 1 / (1 - gamma) = 5, the cut being no end.
    hardware = Hardware.choose("cpu")
    hardware.seed(0)
    model = ActorCritic(2, make_head("multi_discrete"), (32,), layer_norm=False)
    settings = SETTINGS | {"gamma": 0.8, "learning_rate": 1e-2, "normalize_return": False, "epochs": 4}
    ppo = PPO(model, hardware=hardware, **settings)
    rollout = Rollout(8, 4, 2, model.head.action_shape, model.head.action_dtype)
    obs, never, clock = np.ones((4, 2), np.float32), np.zeros(4, dtype=bool), 0
    for _ in range(40):
        rollout.clear()
        for _ in range(8):
            clock += 1
            with torch.inference_mode():
                actions, log_probs = model.act(torch.from_numpy(obs))
            rollout.add(obs, actions, log_probs, np.ones(4), never, np.full(4, clock % 5 == 0), obs)
        rollout.finish(obs)
        ppo.update(rollout)
    assert model.value(torch.from_numpy(obs)).mean().item() == pytest.approx(5.0, abs=0.1)
