"""Attention over the other cars and the boost pads: the network treats all cars alike, and all pads."""

import numpy as np
import torch
from torch import Tensor, nn

from rlbot.env.observation import OBSERVATION_SIZE, POSITION_SCALE, columns
from rlbot.networks.layers import head
from rlbot.sim import PAD_COOLDOWN, PAD_POSITION

_OWN = columns("pads.timer").start  # columns before it: the ball, the own car and the goals
_PADS = columns("pads.timer")
_CARS = columns("mate.present").start  # columns from here on: three other cars of as many numbers each
_OTHERS = 3


class Attention(nn.Module):
    """Observations (B, 180) -> logits (B, num_outputs), values (B, 1).

    The ball and the own car are the query; the other cars and the pads are keys and values. A car that does not exist
    is left out. Multi-head attention with layer norm before it and a residual connection around it (Vaswani et al.
    2017, Xiong et al. 2020).
    """

    pads: Tensor

    def __init__(self, observation_size: int, num_outputs: int, width: int = 128, heads: int = 4) -> None:
        """width: of every layer, a multiple of `heads`. Raises ValueError if the observation is not the default one."""
        super().__init__()
        if observation_size != OBSERVATION_SIZE:
            raise ValueError(f"an observation of {observation_size} numbers; it needs the default one")
        big = PAD_COOLDOWN[:, None] == np.max(PAD_COOLDOWN)
        pads = torch.cat([torch.from_numpy(PAD_POSITION * POSITION_SCALE), torch.from_numpy(big).float()], 1)
        self.register_buffer("pads", pads, persistent=False)
        self.query = nn.Sequential(nn.Linear(_OWN, width), nn.LayerNorm(width), nn.ReLU())
        self.car = nn.Linear((observation_size - _CARS) // _OTHERS, width)
        self.pad = nn.Linear(pads.shape[1] + 1, width)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.actor, self.critic = head(width, num_outputs, 0.01), head(width, 1, 1.0)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        query = self.query(observations[:, :_OWN])
        cars = observations[:, _CARS:].reshape(len(observations), _OTHERS, -1)
        timers = observations[:, _PADS, None]
        pads = torch.cat([self.pads.to(timers.dtype).expand(len(timers), -1, -1), timers], 2)
        things = self.norm(torch.cat([self.car(cars), self.pad(pads)], 1))
        absent = torch.cat([cars[:, :, 0] == 0, torch.zeros_like(timers[:, :, 0], dtype=torch.bool)], 1)
        seen, _ = self.attention(query[:, None], things, things, key_padding_mask=absent, need_weights=False)
        features = query + seen[:, 0]
        return self.actor(features), self.critic(features)
