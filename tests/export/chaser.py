"""A policy that plays without having been trained: it drives at a point behind the ball, seen from the goal."""

from pathlib import Path
from typing import Any

import torch

from rlbot.env.observation import columns
from rlbot.policy import Bot, load
from tests.policy.test_bot import write

BEHIND = 0.05  # how far behind the ball it aims, as a share of the ball's way to the goal
THROTTLE, STEER, JUMP, BOOST, HANDBRAKE = 0, 1, 5, 6, 7


def _weights(document: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Two hidden numbers: how far the point is to the right, and how far to the left."""
    for name in (
        "actor_trunk.linears.0.weight",
        "actor_trunk.linears.0.bias",
        "actor_output.weight",
        "actor_output.bias",
    ):
        tensors[name] = torch.zeros_like(tensors[name])
    first, last, bias = (
        tensors[f"actor_{name}"] for name in ("trunk.linears.0.weight", "output.weight", "output.bias")
    )
    for row, sign in enumerate((1, -1)):
        first[row, columns("ball.local_pos")] = torch.tensor([0, sign * (1 + BEHIND), 0])
        first[row, columns("goal.opponent_local_pos")] = torch.tensor([0, -sign * BEHIND, 0])
        last[STEER, row] = 6.0 * sign
        last[BOOST, row] = -8.0
    bias[[THROTTLE, BOOST, JUMP, HANDBRAKE]] = torch.tensor([3.0, 0.5, -1.0, -1.0])
    tensors["head.log_std"] = torch.full_like(tensors["head.log_std"], -3.0)


def chaser(folder: Path, *overrides: str) -> Bot:
    """A bot with its checkpoint in `folder`."""
    shape = ("model.hidden=[2]", "model.layer_norm=false", "model.action_head=continuous")
    return load(write(folder, *shape, *overrides, change=_weights)[0])
