"""The game as a learning problem: observation, action, reset, end of episode, the batch of arenas, Gymnasium envs."""

from rlbot.env.action import ACTION_TABLE, CONTROL_NAMES
from rlbot.env.batch import BatchEnv
from rlbot.env.finite import replay
from rlbot.env.rules import Rules
from rlbot.env.soccar import RocketSimEnv
from rlbot.env.vector import RocketSimVectorEnv

__all__ = ["ACTION_TABLE", "CONTROL_NAMES", "BatchEnv", "RocketSimEnv", "RocketSimVectorEnv", "Rules", "replay"]
