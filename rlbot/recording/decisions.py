"""What a player chose, as far as it tells: its controls, and of a trained bot its probabilities and the value."""

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE
from rlbot.policy import Bot, Critic
from rlbot.recording.recorder import Decision
from rlbot.recording.recording import TOP_ACTIONS

_NOTHING = (
    1e-30  # below, a number may be a denormal, which some processes take for 0 (PyTorch sets it) and others do not
)


def decision(
    player: object, observations: NDArray[np.float32], controls: NDArray[np.float32], critic: Critic | None = None
) -> Decision:
    """Of a `player` (a Bot, or anything that only has controls) who saw `observations` (K, 180) and chose `controls`
    (K, 8). Probabilities are told by bots that choose from the action table."""
    if not isinstance(player, Bot):
        return Decision(controls)
    value = None if critic is None else critic.value(observations)
    if player.network.action_head != "table":
        return Decision(controls, value)
    logits = player.policy.logits(observations)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities[probabilities < _NOTHING] = 0
    probabilities /= probabilities.sum(1, keepdims=True)
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP_ACTIONS]
    action = (controls[:, None] != ACTION_TABLE).any(2).argmin(1)
    return Decision(
        controls,
        value,
        action,
        np.take_along_axis(probabilities, action[:, None], 1)[:, 0],
        top,
        np.take_along_axis(probabilities, top, 1),
    )
