"""What a player chose in a state: its controls; if it is a trained bot, also action probabilities and the value."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE
from rlbot.env.action_mask import Masks
from rlbot.policy import Bot, Critic, OwnCritic
from rlbot.recording.recorder import Decision
from rlbot.recording.recording import TOP_ACTIONS

# Smaller probabilities become 0. They may be denormal numbers, which are 0 in processes where PyTorch says so, and not
# in others.
_SMALLEST_PROBABILITY = 1e-30


class Seen(NamedTuple):
    """What the network of K cars saw: inputs (K, input_size), and the action masks, if it has any."""

    inputs: NDArray[np.float32]
    masks: Masks | None

    def rows(self, cars: NDArray[np.int64]) -> "Seen":
        return Seen(self.inputs[cars], None if self.masks is None else self.masks[cars])


def decision(
    player: object,
    seen: Seen | None,
    controls: NDArray[np.float32],
    critic: Critic | OwnCritic | None = None,
) -> Decision:
    """The decision of a player that chose `controls` (K, 8). seen: by its network.

    `player`: a Bot, or anything else, of which only the controls are known. Probabilities are known if a bot chooses
    from the built-in action table, whose rows a recording numbers."""
    if not isinstance(player, Bot) or seen is None:
        return Decision(controls)
    value = None if critic is None else critic.value(seen.inputs)
    if player.network.action_head != "table" or player.network.table is not None:
        return Decision(controls, value)
    logits = player.policy.logits(seen.inputs, None, seen.masks)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities[probabilities < _SMALLEST_PROBABILITY] = 0
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
