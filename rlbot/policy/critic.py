"""The critic of a checkpoint: values of states, for display only."""

from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from rlbot.model.activations import NO_ACTIVATION, number
from rlbot.policy.actor import Network, finish_layer
from rlbot.policy.bot import Bot
from rlbot.policy.heads import Floats
from rlbot.policy.own_network import OwnNetwork


class Critic:
    """The value head of an actor-critic network, in NumPy."""

    def __init__(self, network: Network, tensors: dict[str, Floats]) -> None:
        """`tensors`: a state_dict of rlbot.model. Raises ValueError if it has no critic."""
        trunk = "critic_trunk" if "critic_trunk.linears.0.weight" in tensors else "actor_trunk"
        self._network, self._activation = network, number(network.activation)
        try:
            self._layers = []
            for i in range(len(network.hidden)):
                weight, bias = (tensors[f"{trunk}.linears.{i}.{name}"] for name in ("weight", "bias"))
                norm = (
                    [tensors[f"{trunk}.norms.{i}.{name}"] for name in ("weight", "bias")] if network.layer_norm else []
                )
                self._layers.append((weight, bias, *(norm or (bias, bias))))
            self._output = tensors["critic_output.weight"], tensors["critic_output.bias"]
        except KeyError as error:
            raise ValueError(f"the weights have no critic: {error} is missing") from error

    def value(self, observations: NDArray[np.float32]) -> Floats:
        """(B, observation_size) -> (B,): the expected return, in the units of the scaled return of training."""
        x: Floats = observations
        for weight, bias, gain, shift in self._layers:
            x = x @ weight.T
            finish_layer(x, len(x), bias, gain, shift, self._network.layer_norm, self._activation)
        weight, bias = self._output
        x = x @ weight.T
        finish_layer(x, len(x), bias, bias, bias, False, NO_ACTIVATION)
        return x[:, 0]


class OwnCritic:
    """The value of a network of the user's own."""

    def __init__(self, network: OwnNetwork, weights: Floats) -> None:
        """weights (network.size(),)."""
        self._run = network.run(weights)

    def value(self, observations: NDArray[np.float32]) -> Floats:
        """As `Critic.value`."""
        return self._run(observations)[1]


def load_critic(bot: Bot) -> Critic | OwnCritic | None:
    """The critic of the checkpoint that a bot was loaded from; None if it has none or the checkpoint was deleted."""
    if isinstance(bot.network, OwnNetwork):
        return OwnCritic(bot.network, bot.weights)
    try:
        return Critic(bot.network, safetensors.numpy.load_file(Path(bot.path) / "model.safetensors"))
    except (OSError, ValueError, SafetensorError):
        return None
