"""A gated recurrent unit (GRU): a network with a memory."""

import torch
from torch import Tensor, nn

from rlbot.networks.layers import head


class GRU(nn.Module):
    """Observations (B, observation_size), states (B, width) -> logits (B, num_outputs), values (B, 1), next states.

    Cho et al. (2014), in the form of torch.nn.GRUCell. Written with linear layers, so that it computes in every
    precision, and a gradient step with it can be captured as a CUDA graph.
    """

    def __init__(self, observation_size: int, num_outputs: int, width: int = 128) -> None:
        """width: of every layer, and of the state."""
        super().__init__()
        self.state_size = width
        self.encoder = nn.Sequential(nn.Linear(observation_size, width), nn.LayerNorm(width), nn.ReLU())
        self.input, self.recurrent = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        for layer in (self.input, self.recurrent):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.actor, self.critic = head(width, num_outputs, 0.01), head(width, 1, 1.0)

    def forward(self, observations: Tensor, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states = self._next(self.input(self.encoder(observations)), states)
        return self.actor(states), self.critic(states), states

    def unroll(self, observations: Tensor, states: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """The same for sequences: observations (B, L, observation_size), states (B, width) before them, whether an
        episode begins with a step (B, L) -> logits (B, L, num_outputs), values (B, L, 1). All layers but one compute
        all steps at once."""
        found = []
        for seen, begin in zip(self.input(self.encoder(observations)).unbind(1), begins.unbind(1), strict=True):
            states = self._next(seen, states.masked_fill(begin.unsqueeze(1), 0.0))
            found.append(states)
        every = torch.stack(found, 1)
        return self.actor(every), self.critic(every)

    def _next(self, seen: Tensor, states: Tensor) -> Tensor:
        reset, update, new = seen.chunk(3, 1)
        reset_before, update_before, new_before = self.recurrent(states).chunk(3, 1)
        candidate = torch.tanh(new + torch.sigmoid(reset + reset_before) * new_before)
        return candidate + torch.sigmoid(update + update_before) * (states - candidate)
