"""The game as a learning problem: observation, action, reset, end of episode, the batch of arenas, Gymnasium envs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlbot.env.action import ACTION_TABLE, CONTROL_NAMES
from rlbot.env.batch import BatchEnv
from rlbot.env.finite import replay
from rlbot.env.rules import Rules
from rlbot.env.soccar import RocketSimEnv
from rlbot.env.vector import RocketSimVectorEnv

if TYPE_CHECKING:
    from rlbot.env.parallel import parallel_env
    from rlbot.env.rlgym.environment import RLGymEnv
    from rlbot.env.sb3 import SB3VecEnv

__all__ = [
    "ACTION_TABLE",
    "CONTROL_NAMES",
    "BatchEnv",
    "RLGymEnv",
    "RocketSimEnv",
    "RocketSimVectorEnv",
    "Rules",
    "SB3VecEnv",
    "parallel_env",
    "replay",
]

_OPTIONAL = {  # what needs a package that is not always there
    "RLGymEnv": "rlbot.env.rlgym.environment",
    "SB3VecEnv": "rlbot.env.sb3",
    "parallel_env": "rlbot.env.parallel",
}


def __getattr__(name: str) -> Any:
    if name not in _OPTIONAL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OPTIONAL[name]), name)
