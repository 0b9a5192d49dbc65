"""The game as a learning problem: observation, action, reset, ending, the batch of arenas and the Gymnasium env."""

import gymnasium

from rlbot.env.action import ACTION_TABLE, CONTROL_NAMES
from rlbot.env.batch import BatchEnv, Rules
from rlbot.env.finite import replay
from rlbot.env.soccar import RocketSimEnv

__all__ = ["ACTION_TABLE", "CONTROL_NAMES", "BatchEnv", "RocketSimEnv", "Rules", "replay"]

gymnasium.register(id="RocketSim-v0", entry_point="rlbot.env.soccar:RocketSimEnv")
