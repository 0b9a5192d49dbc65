"""An actor-critic around a network of the user's own."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import Head


class OwnActorCritic(nn.Module):
    """Policy and value from one module: (B, observation_size) -> logits (B, head.num_outputs), values (B,).

    It is always in evaluation mode: dropout and batch norm would act in one way and learn in another.
    """

    def __init__(self, observation_size: int, head: Head, network: nn.Module, forward: Any) -> None:
        """forward(network, observations) -> (logits, values), float32, of the right shapes."""
        super().__init__()
        self.observation_size, self.head, self.network = observation_size, head, network.eval()
        self._forward = forward

    def actor_logits(self, obs: Tensor) -> Tensor:
        """obs (B, observation_size) -> the logits for the head, (B, head.num_outputs) float32."""
        logits: Tensor = self._forward(self.network, obs)[0]
        return logits

    def value(self, obs: Tensor) -> Tensor:
        """obs (B, observation_size) -> expected scaled return (B,) float32."""
        values: Tensor = self._forward(self.network, obs)[1]
        return values

    def evaluate(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns (log_prob, entropy, value), each (B,) float32, of stored actions (B, *head.action_shape)."""
        logits, values = self._forward(self.network, obs)
        return (*self.head.log_prob_entropy(logits, actions), values)

    def unused(self, obs: Tensor) -> list[str]:
        """Returns the names of the weights that have no part in the outputs, and so would never learn."""
        names, weights = zip(*self.network.named_parameters(), strict=True)
        logits, values = self._forward(self.network, obs)
        gradients = torch.autograd.grad(logits.sum() + values.sum(), weights, allow_unused=True)
        return [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]

    def actor_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Returns all that acting needs, on the host, by their names in the state_dict."""
        return {name: each.detach().cpu().numpy() for name, each in self.state_dict().items()}


AnyModel = ActorCritic | OwnActorCritic
