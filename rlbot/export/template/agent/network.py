"""The trained network in NumPy: an observation in, controls out."""

from collections.abc import Mapping
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .mask import Mask

Floats = NDArray[np.float32]
EPSILON = 1e-5  # of layer norm
LOG_STD_RANGE = (-5.0, 1.0)
AXES = np.arange(8) < 5  # throttle, steer, pitch, yaw, roll; then the buttons jump, boost, handbrake


class Network:
    """The trained actor, and the table of controls that it chooses from."""

    def __init__(
        self, description: Mapping[str, Any], arrays: Mapping[str, Floats], table: Any, masked: Any = None
    ) -> None:
        """`description`: "network" of the manifest; `arrays`: the weights by name; `table` (K, 8): "action_table";
        `masked`: "observation" of the manifest if the policy has an action mask, else None.

        Raises KeyError for an array that is missing, ValueError for one that has no place.
        """
        left = dict(arrays)

        def take(name: str) -> tuple[Floats, Floats]:
            weight, bias = left.pop(f"{name}.weight"), left.pop(f"{name}.bias")
            return np.ascontiguousarray(weight.T), bias

        self.head, self.activation = description["action_head"], description["activation"]
        self.observation_size = int(description["observation_size"])
        self.table = np.array(table, np.float32)
        self.mask = None if masked is None else Mask(masked, self.table)
        self.layers = []
        for i in range(len(description["hidden"])):
            norm = take(f"actor_trunk.norms.{i}") if description["layer_norm"] else None
            self.layers.append((*take(f"actor_trunk.linears.{i}"), norm))
        self.output = take("actor_output")
        self.log_std = left.pop("head.log_std", None)
        if left:
            raise ValueError(f"the network has no {min(left)}")

    def logits(self, observation: Floats) -> Floats:
        """Returns the logits (outputs,) for an observation; -inf for actions that the mask forbids."""
        x = observation
        for weight, bias, norm in self.layers:
            x = x @ weight + bias
            if norm is not None:
                x = x - x.mean()
                x = x / np.sqrt((x * x).mean() + np.float32(EPSILON)) * norm[0] + norm[1]
            x = activate(x, self.activation)
        result: Floats = x @ self.output[0] + self.output[1]
        if self.mask is not None:
            result[~self.mask.allowed(observation)] = -np.inf
        return result

    def likeliest(self, logits: Floats) -> Floats:
        """Returns the controls (8,) of the most likely action."""
        if self.head == "table":
            return self._of_row(int(np.argmax(logits)))
        if self.head == "multi_discrete":
            return self._of_choices([int(np.argmax(part)) for part in _parts(logits)])
        return self._of_numbers(logits)

    def draw(self, logits: Floats, generator: np.random.Generator) -> Floats:
        """Returns the controls (8,) of an action that is drawn from the policy, as in training."""
        if self.head == "table":
            return self._of_row(_choose(logits, generator))
        if self.head == "multi_discrete":
            return self._of_choices([_choose(part, generator) for part in _parts(logits)])
        assert self.log_std is not None
        spread: Floats = np.exp(np.clip(self.log_std, *LOG_STD_RANGE))
        return self._of_numbers(logits + spread * generator.standard_normal(8, np.float32))

    def _of_row(self, row: int) -> Floats:
        controls: Floats = self.table[row]
        return controls

    @staticmethod
    def _of_choices(choices: list[int]) -> Floats:
        return np.array(choices, np.float32) - AXES  # the three choices of an axis are -1, 0 and 1

    @staticmethod
    def _of_numbers(numbers: Floats) -> Floats:
        return np.where(AXES, np.tanh(numbers), numbers > 0).astype(np.float32)


def activate(x: Floats, name: str) -> Floats:
    """Applies an activation function. Raises ValueError if its name is unknown."""
    if name == "relu":
        result = np.maximum(x, np.float32(0))
    elif name == "tanh":
        result = np.tanh(x)
    elif name == "elu":
        result = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
    elif name == "gelu":
        result = x * np.array([0.5 + 0.5 * erf(each / sqrt(2.0)) for each in x.tolist()], np.float32)
    elif name == "leaky_relu":
        result = np.where(x > 0, x, np.float32(0.01) * x)
    elif name == "silu":
        result = x / (1 + np.exp(-np.maximum(x, -80)))  # exp would overflow
    else:
        raise ValueError(f"the network's activation {name} is unknown")
    activated: Floats = result.astype(np.float32)
    return activated


def _parts(logits: Floats) -> list[Floats]:
    """Splits the logits of the multi-discrete head: five axes with three choices, three buttons with two."""
    return np.split(logits, [3, 6, 9, 12, 15, 17, 19])


def _choose(logits: Floats, generator: np.random.Generator) -> int:
    cumulative = np.cumsum(np.exp(logits - np.max(logits), dtype=np.float64))
    return min(int(np.searchsorted(cumulative, generator.random() * cumulative[-1], "right")), len(logits) - 1)
