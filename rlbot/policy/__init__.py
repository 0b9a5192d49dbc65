"""A trained bot that acts, without PyTorch and without Hydra: load a checkpoint, give observations, get controls.

Worker processes, opponents, evaluation and exported bots all act through this package.

    bot = rlbot.policy.load("outputs/latest")
    controls = bot.act(observations)  # (B, 180) -> (B, 8)
"""

from rlbot.model.activations import ACTIVATIONS
from rlbot.policy.actor import AnyNetwork, Network, Policy
from rlbot.policy.bot import Bot, load
from rlbot.policy.critic import Critic, OwnCritic, load_critic
from rlbot.policy.heads import HEADS
from rlbot.policy.sampling import random_rows, uniforms

__all__ = [
    "ACTIVATIONS",
    "HEADS",
    "AnyNetwork",
    "Bot",
    "Critic",
    "Network",
    "OwnCritic",
    "Policy",
    "load",
    "load_critic",
    "random_rows",
    "uniforms",
]
