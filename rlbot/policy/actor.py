"""An actor: a network in NumPy and Numba, and the choice of actions.

The learner's network (rlbot.model) is the same network in PyTorch, with gradients.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rlbot.env.action import ACTION_TABLE, Table
from rlbot.env.action_mask import HasCars, Masks, mask_size, masks_of, patterns
from rlbot.model.activations import NO_ACTIVATION, activate, number
from rlbot.policy.heads import HEADS, Floats, Head
from rlbot.policy.matmul import matmul, padded, whole_tiles
from rlbot.policy.sampling import forbid, uniforms

_EPSILON = 1e-5  # of layer norm, as in PyTorch


class AnyNetwork(ABC):
    """What a policy needs of a network: `Network` and `OwnNetwork` (rlbot.policy.own_network)."""

    observation_size: int
    action_head: str
    table: Table | None  # the user's own, of the head "table"; None: rlbot.env.ACTION_TABLE
    action_mask: bool  # whether it chooses only from the actions that rlbot.env.action_mask allows

    @property
    def state_size(self) -> int:
        """Size of a recurrent network's state; 0 if it is not recurrent."""
        return 0

    @property
    def input_size(self) -> int:
        """Of a row of its input: the observation, then the state."""
        return self.observation_size + self.state_size

    @property
    def output_size(self) -> int:
        """Of a row of its output: the logits, then the next state."""
        return self.head.outputs + self.state_size

    def inputs(self, observations: Floats, states: Floats) -> Floats:
        """Joins observations (M, observation_size) and states (M, state_size) to the rows of its input."""
        return np.concatenate([observations, states], 1) if self.state_size else observations

    @property
    def head(self) -> Head:
        head = HEADS[self.action_head]
        return head if self.table is None else replace(head, outputs=len(self.table))

    @property
    def action_table(self) -> Floats:
        """(K, 8): the controls of each choice of the head "table"."""
        return ACTION_TABLE if self.table is None else np.array(self.table, np.float32)

    @property
    def mask_size(self) -> int:
        """Bytes of a packed action mask; 0 without one."""
        return mask_size(self.head.outputs) if self.action_mask else 0

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Of one stored action."""
        return self.head.action_shape

    @property
    def action_dtype(self) -> type[np.generic]:
        return self.head.action_dtype

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """The form in which checkpoints hold it; see `network_of`."""

    @abstractmethod
    def arrays(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of every array of the actor, in their order in the weight vector. Names are those of
        rlbot.model's state_dict."""

    def size(self) -> int:
        """Length of the weight vector."""
        return sum(math.prod(shape) for _, shape in self.arrays())

    def views(self, vector: Floats) -> dict[str, Floats]:
        """The arrays by their names, as views of the weight vector (size,)."""
        return split(vector, self.arrays())

    @abstractmethod
    def forward(self, vector: Floats) -> Callable[[Floats], Floats]:
        """A function from inputs (M, input_size) to outputs (M, output_size), valid until its next call, whose weights
        are views of `vector`."""

    @abstractmethod
    def vector(self, tensors: Mapping[str, Any], out: Floats) -> None:
        """Writes the weights from a state_dict into `out` (size,). Raises ValueError if a shape does not fit."""

    def state_dict(self, vector: Floats) -> dict[str, Floats]:
        """The weights of a vector (size,) by their names, in the shapes of rlbot.model: the reverse of `vector`."""
        return self.views(vector)


@dataclass(frozen=True)
class Network(AnyNetwork):
    """The shape of an actor: what is needed to read its weights."""

    observation_size: int
    hidden: tuple[int, ...]
    layer_norm: bool
    activation: str
    action_head: str
    table: Table | None = None
    action_mask: bool = False

    def document(self) -> dict[str, Any]:
        """The form in which checkpoints hold it; see `network_of`."""
        return {name: value for name, value in asdict(self).items() if name not in ("table", "action_mask")}

    def arrays(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of every array of the actor, in their order in the weight vector. Names are those of
        rlbot.model's state_dict; the weight of a linear layer is transposed: (inputs, outputs)."""
        sizes = (self.observation_size, *self.hidden)
        found: list[tuple[str, tuple[int, ...]]] = []
        for i, width in enumerate(self.hidden):
            found += [(f"actor_trunk.linears.{i}.weight", (sizes[i], width))]
            found += [(f"actor_trunk.linears.{i}.bias", (width,))]
            if self.layer_norm:
                found += [(f"actor_trunk.norms.{i}.{name}", (width,)) for name in ("weight", "bias")]
        found += [("actor_output.weight", (sizes[-1], self.head.outputs)), ("actor_output.bias", (self.head.outputs,))]
        return found + ([("head.log_std", (8,))] if self.head.has_log_std else [])

    def forward(self, vector: Floats) -> Callable[[Floats], Floats]:
        """A function from observations (M, observation_size) to logits (M, outputs), valid until its next call, whose
        weights are views of `vector`."""
        return _Layers(self, vector)

    def vector(self, tensors: Mapping[str, Any], out: Floats) -> None:
        """Write the actor's weights from a state_dict into `out` (size,). Raises ValueError if a shape does not fit."""
        at = 0
        for name, shape in self.arrays():
            array = np.asarray(tensors[name], np.float32)
            array = array.T if array.ndim == 2 else array
            if array.shape != shape:
                raise ValueError(f"the policy's {name} is of shape {array.shape}, its network needs {shape}")
            out[at : at + array.size] = array.ravel()
            at += array.size

    def state_dict(self, vector: Floats) -> dict[str, Floats]:
        """The weights of a vector (size,) by their names, in the shapes of rlbot.model: the reverse of `vector`."""
        return {name: each.T for name, each in self.views(vector).items()}


def split(vector: Floats, arrays: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Floats]:
    """Views of a vector that holds arrays of these names and shapes one after the other, by their names."""
    views, at = {}, 0
    for name, shape in arrays:
        views[name] = vector[at : at + math.prod(shape)].reshape(shape)
        at += math.prod(shape)
    return views


@njit(cache=True, fastmath={"reassoc", "contract"})  # so that the sums of layer norm are vectorized
def finish_layer(x, rows, bias, gain, shift, normalise, activation):  # type: ignore[no-untyped-def]
    """Apply bias (width,), layer norm and activation to x[:rows, :width], in place.

    x must be the whole memory of a layer, not a slice of it: Numba compiles contiguous and strided arrays separately,
    with sums in another order, and a slice of one row is contiguous, while one of several rows is not.
    """
    width = len(bias)
    count = np.float32(width)  # dividing by an integer would make the results float64
    least = np.float32(0.0 if activation == 0 else -np.inf)  # ReLU is part of the last loop, others follow it
    for i in range(rows):
        row = x[i, :width]
        if normalise:
            total = np.float32(0.0)
            for j in range(width):
                row[j] += bias[j]
                total += row[j]
            mean = total / count
            total = np.float32(0.0)
            for j in range(width):
                total += (row[j] - mean) * (row[j] - mean)
            scale = np.float32(1.0) / np.sqrt(total / count + np.float32(_EPSILON))
            for j in range(width):
                value = (row[j] - mean) * scale * gain[j] + shift[j]
                row[j] = least if value < least else value
        else:
            for j in range(width):
                value = row[j] + bias[j]
                row[j] = least if value < least else value
        if activation > 0:
            for j in range(width):
                row[j] = activate(row[j], activation)


class _Layers:
    """A network whose weights are views of `vector` (network.size(),): (M, observation_size) -> (M, outputs)."""

    def __init__(self, network: Network, vector: Floats) -> None:
        self._network, self._activation = network, number(network.activation)
        arrays = network.views(vector)
        self._layers = [
            (
                arrays[f"actor_trunk.linears.{i}.weight"],
                arrays[f"actor_trunk.linears.{i}.bias"],
                arrays.get(f"actor_trunk.norms.{i}.weight", arrays[f"actor_trunk.linears.{i}.bias"]),
                arrays.get(f"actor_trunk.norms.{i}.bias", arrays[f"actor_trunk.linears.{i}.bias"]),
            )
            for i in range(len(network.hidden))
        ]
        self._output = arrays["actor_output.weight"], arrays["actor_output.bias"]
        self._buffers = self._memory(0)

    def _memory(self, count: int) -> list[Floats]:
        """Buffers for the observations of `count` cars and for the output of each layer."""
        sizes = (self._network.observation_size, *self._network.hidden, self._network.head.outputs)
        return [padded(count, size) for size in sizes]

    def __call__(self, observations: Floats) -> Floats:
        count = len(observations)
        if count > len(self._buffers[0]):
            self._buffers = self._memory(count)
        rows = whole_tiles(count)
        x = self._buffers[0][:rows]
        x[:count, : observations.shape[1]] = observations
        for (weight, bias, gain, shift), buffer in zip(self._layers, self._buffers[1:], strict=False):
            matmul(x, weight, buffer[:rows])
            x = buffer[:rows]
            finish_layer(x, count, bias, gain, shift, self._network.layer_norm, self._activation)
        weight, bias = self._output
        logits = self._buffers[-1][:rows]
        matmul(x, weight, logits)
        finish_layer(logits, count, bias, bias, bias, False, NO_ACTIVATION)
        return logits[:count, : len(bias)]


class Policy:
    """An actor whose weights are views of `vector` (network.size(),): a change there takes effect at the next call."""

    def __init__(
        self, network: AnyNetwork, vector: Floats, table: Floats, forward: Callable[[Floats], Floats] | None = None
    ) -> None:
        """`table` (K, 8): the controls of each choice of the "table" head. `forward`: another process's forward pass,
        from inputs (M, input_size) to outputs (M, output_size), instead of one with `vector` here."""
        self.network, self._table = network, table
        self._patterns = patterns(table) if network.action_mask else None
        self._forward = network.forward(vector) if forward is None else forward
        self._log_std = network.views(vector).get("head.log_std", np.zeros(8, np.float32))

    def masks(self, env: HasCars, cars: Any) -> Masks | None:
        """The action masks of some rows `cars` of `env`, as it is now; None if the network chooses from all actions."""
        if self._patterns is None:
            return None
        return masks_of(env.state, self._patterns, env.car_arena[cars], env.car_slot[cars])

    def logits(self, inputs: Floats, states: Floats | None = None, masks: Masks | None = None) -> Floats:
        """(M, input_size) -> (M, outputs), valid until the next call. `states` (M, state_size) is overwritten with the
        next states; None: they are not wanted. `masks`: what `masks` returns; logits of forbidden actions are -inf."""
        assert (masks is None) == (self._patterns is None), "a network with an action mask needs the masks of the cars"
        logits = self._forward(inputs)
        if self.network.state_size:
            outputs, size = logits, self.network.head.outputs
            if states is not None:
                states[:] = outputs[:, size:]
            logits = outputs[:, :size].copy()  # contiguous, as all others: sums of other arrays have other last bits
        if masks is not None:
            forbid(logits, masks)
        return logits

    def sample(
        self,
        inputs: Floats,
        seed: int,
        step: int,
        cars: NDArray[np.int64],
        states: Floats | None = None,
        masks: Masks | None = None,
    ) -> tuple[Any, Floats, Floats]:
        """Draw (actions (M, *action_shape), log_probs (M,), controls (M, 8)) for M cars numbered `cars` (M,), from
        inputs (M, input_size). `states`, `masks`: see `logits`.

        A car's action depends only on the weights, its input and mask, `seed`, `step` and its number.
        """
        return self.choose(self.logits(inputs, states, masks), seed, step, cars)

    def choose(self, logits: Floats, seed: int, step: int, cars: NDArray[np.int64]) -> tuple[Any, Floats, Floats]:
        """As `sample`, from logits (M, outputs), which are overwritten."""
        count, head = len(logits), self.network.head
        uniform = np.empty((count, head.uniforms), np.float32)
        uniforms(seed, step, cars, uniform)
        actions = np.empty((count, *head.action_shape), head.action_dtype)
        log_probs = np.empty(count, np.float32)
        head.draw(logits, self._log_std, uniform, actions, log_probs)
        return actions, log_probs, self.controls(actions)

    def mode(self, inputs: Floats, states: Floats | None = None, masks: Masks | None = None) -> Floats:
        """Controls (M, 8) of the most likely actions. `states`, `masks`: see `logits`."""
        return self.controls(self.network.head.mode(self.logits(inputs, states, masks)))

    def controls(self, actions: Any) -> Floats:
        """Stored actions (M, *action_shape) -> controls (M, 8)."""
        return self.network.head.controls(actions, self._table)
