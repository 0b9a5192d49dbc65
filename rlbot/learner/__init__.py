"""Rollout storage, generalized advantage estimation and the PPO update."""

from rlbot.learner.gae import gae, next_values
from rlbot.learner.ppo import PPO
from rlbot.learner.return_scale import ReturnScale
from rlbot.learner.rollout import Rollout

__all__ = ["PPO", "ReturnScale", "Rollout", "gae", "next_values"]
