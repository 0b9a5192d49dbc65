"""PPO over Gymnasium's vector environments in one file, as in CleanRL: what such a script takes for granted."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from torch import nn
from torch.distributions import Categorical, Independent, Normal

from rlbot.env import Rules

STEPS, ENVS, ITERATIONS, GAMMA, LAMBDA = 32, 8, 3, 0.99, 0.95


class Agent(nn.Module):
    def __init__(self, envs: Any) -> None:
        super().__init__()
        space, size = envs.single_action_space, int(np.prod(envs.single_observation_space.shape))
        self.discrete = isinstance(space, gymnasium.spaces.Discrete)
        outputs = int(space.n) if self.discrete else int(np.prod(space.shape))
        self.actor = nn.Sequential(nn.Linear(size, 32), nn.Tanh(), nn.Linear(32, outputs))
        self.critic = nn.Sequential(nn.Linear(size, 32), nn.Tanh(), nn.Linear(32, 1))
        self.log_std = nn.Parameter(torch.zeros(outputs))

    def policy(self, observations: torch.Tensor) -> Any:
        outputs = self.actor(observations)
        if self.discrete:
            return Categorical(logits=outputs)
        return Independent(Normal(outputs, self.log_std.exp()), 1)

    def value(self, observations: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.critic(observations).squeeze(-1)
        return value


def advantages_of(rewards: Any, values: Any, dones: Any, last_value: Any, last_done: Any) -> torch.Tensor:
    """As there: `dones[t]` says that the observation t is the first one after an end."""
    advantages, running = torch.zeros_like(rewards), torch.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        done, value = (last_done, last_value) if t == len(rewards) - 1 else (dones[t + 1], values[t + 1])
        delta = rewards[t] + GAMMA * value * (1 - done) - values[t]
        advantages[t] = running = delta + GAMMA * LAMBDA * (1 - done) * running
    return advantages


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_ppo_trains(discrete: bool, mode: str) -> None:
    envs: Any = gymnasium.make_vec(
        "rlbot:RocketSim-v0", num_envs=ENVS, discrete=discrete, autoreset_mode=mode, rules=Rules(time_limit=1.0)
    )
    envs = RecordEpisodeStatistics(envs)
    torch.manual_seed(0)
    agent = Agent(envs)
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3, eps=1e-5)
    before = {name: weights.detach().clone() for name, weights in agent.named_parameters()}
    obs = torch.zeros(STEPS, ENVS, *envs.single_observation_space.shape)
    actions = torch.zeros(STEPS, ENVS, *envs.single_action_space.shape)
    logprobs, rewards, dones, values = (torch.zeros(STEPS, ENVS) for _ in range(4))
    next_obs, next_done = torch.as_tensor(envs.reset(seed=1)[0]), torch.zeros(ENVS)
    episodes: list[float] = []
    for _ in range(ITERATIONS):
        for t in range(STEPS):
            obs[t], dones[t] = next_obs, next_done
            with torch.no_grad():
                policy = agent.policy(next_obs)
                action = policy.sample()
                actions[t], logprobs[t], values[t] = action, policy.log_prob(action), agent.value(next_obs)
            given, reward, terminated, truncated, info = envs.step(action.numpy())
            next_obs, next_done = torch.as_tensor(given), torch.as_tensor(terminated | truncated).float()
            rewards[t] = torch.as_tensor(reward)
            if "episode" in info:
                episodes += info["episode"]["r"][info["_episode"]].tolist()
        with torch.no_grad():
            advantages = advantages_of(rewards, values, dones, agent.value(next_obs), next_done)
        policy = agent.policy(obs)
        ratio = (policy.log_prob(actions) - logprobs).exp()
        scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        policy_loss = torch.max(-scaled * ratio, -scaled * ratio.clamp(0.8, 1.2)).mean()
        value_loss = 0.5 * (agent.value(obs) - (advantages + values)).square().mean()
        loss = policy_loss - 0.01 * policy.entropy().mean() + 0.5 * value_loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
        optimizer.step()
        assert torch.isfinite(loss) and ratio.min() > 0
    envs.close()
    assert len(episodes) >= 4 * ENVS and np.isfinite(episodes).all()
    same = {name for name, weights in agent.named_parameters() if torch.equal(weights, before[name])}
    assert same == ({"log_std"} if discrete else set())
