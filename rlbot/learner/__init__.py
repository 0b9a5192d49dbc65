"""Generalized advantage estimation and the PPO update."""

from rlbot.learner.gae import gae, next_values
from rlbot.learner.ppo import PPO
from rlbot.learner.return_scale import ReturnScale

__all__ = ["PPO", "ReturnScale", "gae", "next_values"]
