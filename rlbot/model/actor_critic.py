"""The actor-critic network: two multilayer perceptrons, or one with two outputs."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlbot.model.activations import ACTIVATIONS
from rlbot.model.heads import Head, masked
from rlbot.model.hidden_layer import hidden_layer


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Trunk(nn.Module):
    """Hidden layers: linear, layer norm, activation, repeated. (B, inputs) -> (B, hidden[-1])."""

    def __init__(self, inputs: int, hidden: Sequence[int], layer_norm: bool, activation: str) -> None:
        super().__init__()
        pairs = pairwise([inputs, *hidden])
        self.linears = nn.ModuleList(_linear(size, width, math.sqrt(2.0)) for size, width in pairs)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in hidden if layer_norm)
        self._activate: Callable[[Tensor], Tensor] = attrgetter(ACTIVATIONS[activation])(torch)
        self._relu = activation == "relu"

    def forward(self, x: Tensor) -> Tensor:
        # The layers' functions are called directly: at 16 rows, calling the modules takes a tenth of the time.
        linears = cast("Iterable[nn.Linear]", self.linears)
        norms = cast("Iterable[nn.LayerNorm]", self.norms)
        if not self.norms:
            for linear in linears:
                x = self._activate(F.linear(x, linear.weight, linear.bias))
            return x
        for linear, norm in zip(linears, norms, strict=True):
            x = hidden_layer(x, linear, norm, self._relu)
            if not self._relu:
                x = self._activate(x)
        return x


class _FullPrecision(torch.autograd.Function):
    """x W^T + b in float32 for x in reduced precision. The gradient is in the precision of x, as in other layers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x.float(), weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        reduced = grad.to(x.dtype)
        return reduced @ weight.to(x.dtype), (reduced.t() @ x).float(), grad.sum(0)


def _output(layer: nn.Linear, x: Tensor) -> Tensor:
    """Computes the last layer in float32 even under autocast: a bf16 logit near 5 has steps of 0.03."""
    if not torch.is_autocast_enabled(x.device.type):
        return F.linear(x, layer.weight, layer.bias)
    with torch.autocast(x.device.type, enabled=False):
        return cast("Tensor", _FullPrecision.apply(x, layer.weight, layer.bias))  # type: ignore[no-untyped-call]


class ActorCritic(nn.Module):
    """Policy and value of an observation.

    The value is in units of the scaled return (rewards divided by the running standard deviation of returns).
    Weights are orthogonal: gain sqrt(2) in hidden layers, 0.01 for the policy's output, 1 for the value's (as
    in CleanRL), drawn from torch's global generator.

    Raises ValueError if there is no hidden layer, a width below 1 or an unknown activation.
    """

    state_size = 0  # it is not recurrent

    def __init__(
        self,
        observation_size: int,
        head: Head,
        hidden: Sequence[int] = (256, 256, 256),
        layer_norm: bool = True,
        activation: str = "relu",
        shared_trunk: bool = False,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"model.hidden={list(hidden)} must name at least one layer, each at least 1 wide.")
        if activation not in ACTIVATIONS:
            raise ValueError(f"model.activation={activation!r} is unknown; use one of {', '.join(ACTIVATIONS)}.")
        self.head = head
        self.observation_size = observation_size
        self.actor_trunk = Trunk(observation_size, hidden, layer_norm, activation)
        self.critic_trunk = None if shared_trunk else Trunk(observation_size, hidden, layer_norm, activation)
        self.actor_output = _linear(hidden[-1], head.num_outputs, 0.01)
        self.critic_output = _linear(hidden[-1], 1, 1.0)

    def actor_logits(self, obs: Tensor) -> Tensor:
        """obs (B, observation_size) -> the logits for the head, (B, head.num_outputs) float32."""
        return _output(self.actor_output, self.actor_trunk(obs))

    def value(self, obs: Tensor) -> Tensor:
        """obs (B, observation_size) -> expected scaled return (B,) float32."""
        trunk = self.actor_trunk if self.critic_trunk is None else self.critic_trunk
        return _output(self.critic_output, trunk(obs)).squeeze(-1)

    def evaluate(self, obs: Tensor, actions: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Returns (log_prob, entropy, value), each (B,) float32, of stored actions (B, *head.action_shape). masks:
        among what they were chosen, see `masked`."""
        features = self.actor_trunk(obs)
        logits = masked(_output(self.actor_output, features), masks)
        log_prob, entropy = self.head.log_prob_entropy(logits, actions)
        critic_features = features if self.critic_trunk is None else self.critic_trunk(obs)
        return log_prob, entropy, _output(self.critic_output, critic_features).squeeze(-1)

    def act(
        self, obs: Tensor, deterministic: bool = False, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns actions (B, *head.action_shape) for obs (B, observation_size), and their log-probabilities (B,)
        float32.

        Call it under torch.inference_mode(). `generator` must live on the device of obs.
        """
        logits = self.actor_logits(obs)
        if not deterministic:
            return self.head.sample_with_log_prob(logits, generator)
        actions = self.head.mode(logits)
        return actions, self.head.log_prob_entropy(logits, actions)[0]

    def actor_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Returns the parameters that acting needs, on the host, by their names in the state_dict."""
        return {
            name: each.detach().cpu().numpy() for name, each in self.named_parameters() if not name.startswith("critic")
        }
