"""A network of the user's own: a PyTorch module, which acts on the CPU.

PyTorch is imported only where such a network is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rlbot.env.action import Table
from rlbot.policy.actor import AnyNetwork
from rlbot.policy.heads import Floats
from rlbot.values.convert import checked
from rlbot.values.target import KEY, Target, call

if TYPE_CHECKING:
    from torch import nn

STATE_SIZE = "state_size"  # the attribute of a recurrent module
PREFIX = "network."  # of the names of its arrays in the state_dict of rlbot.model.own.OwnActorCritic


@dataclass(frozen=True)
class OwnNetwork(AnyNetwork):
    """A class of torch.nn.Module, and what it is made with: make(observation_size, num_outputs, **arguments)."""

    observation_size: int
    action_head: str
    target: Target
    table: Table | None = None
    action_mask: bool = False

    def document(self) -> dict[str, Any]:
        """The form in which checkpoints hold it."""
        target = self.target.document()
        return {"observation_size": self.observation_size, "action_head": self.action_head, "target": target}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "OwnNetwork":
        """Reads a `document()`. Raises ValueError if it is of another form."""
        target: Target = checked(Target, document["target"], "target")
        return cls(int(document["observation_size"]), str(document["action_head"]), target)

    @property
    def where(self) -> str:
        """The setting, for messages."""
        return f"model.network.{KEY}={self.target.name}"

    def module(self) -> "nn.Module":
        """A new module, initialised from torch's global generator. Raises ValueError that names the setting if it
        cannot be made, is not a module, or its weights are not all float32."""
        import torch

        where = self.where
        module = call(where, self.target.load("model.network"), self.observation_size, self.head.outputs)
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"{where}: makes {type(module).__name__}; it must make a torch.nn.Module")
        for name, parameter in module.named_parameters():
            if parameter.dtype != torch.float32:
                raise ValueError(f"{where}: its weight {name} is {parameter.dtype}; it must be torch.float32")
        return module

    @cached_property
    def _found(self) -> tuple[list[tuple[str, tuple[int, ...]]], int]:
        """The arrays, and the size of the state. A worker gets them with the network, and need not make the module."""
        import torch

        with torch.random.fork_rng(devices=[]):  # a module that is made only to be looked at draws no numbers
            module = self.module()
        size: Any = getattr(module, STATE_SIZE, 0)
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise ValueError(f"{self.where}: its {STATE_SIZE} is {size!r:.50}; it must be a whole number")
        found = [(PREFIX + name, tuple(each.shape)) for name, each in _floats(module).items()]
        return found + ([("head.log_std", (8,))] if self.head.has_log_std else []), size

    def arrays(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of every array of the network, in their order in the weight vector; the names are those of
        rlbot.model's state_dict."""
        return self._found[0]

    @property
    def state_size(self) -> int:
        """The module's attribute `state_size`; 0 if it has none, so that it is not recurrent."""
        return self._found[1]

    def vector(self, tensors: Mapping[str, Any], out: Floats) -> None:
        """Write the weights from a state_dict into `out` (size,). Raises ValueError if a shape does not fit."""
        for name, view in self.views(out).items():
            array = np.asarray(tensors[name], np.float32)
            if array.shape != view.shape:
                raise ValueError(f"the policy's {name} is of shape {array.shape}, its network needs {view.shape}")
            view[...] = array

    def forward(self, vector: Floats) -> Callable[[Floats], Floats]:
        """A function from inputs (M, input_size) to outputs (M, output_size), whose weights are views of `vector`."""
        run = self.run(vector)
        return lambda inputs: run(inputs)[0]

    def run(self, vector: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
        """As `forward`, but to outputs and values (M,)."""
        import torch

        with torch.random.fork_rng(devices=[]):
            module = self.module()
        module.eval().requires_grad_(False)
        views = self.views(vector)
        for name, tensor in _floats(module).items():
            tensor.data = torch.from_numpy(views[PREFIX + name])  # shares the memory

        def run(inputs: Floats) -> tuple[Floats, Floats]:
            with torch.inference_mode():
                rows = torch.tensor(inputs)  # a copy begins at a cache line: the last bits may depend on it
                logits, values, *states = outputs(self, module, *self.split(rows))
                return torch.cat([logits, *states], 1).numpy(), values.numpy()

        return run

    def split(self, inputs: Any) -> tuple[Any, ...]:
        """Splits rows (M, input_size) into what the module takes: observations, and states if it is recurrent."""
        if not self.state_size:
            return (inputs,)
        return inputs[:, : self.observation_size], inputs[:, self.observation_size :]


def _floats(module: "nn.Module") -> "dict[str, Any]":
    """The parameters and the float buffers of a module by their names in its state_dict."""
    return {name: each for name, each in module.state_dict(keep_vars=True).items() if each.is_floating_point()}


def outputs(network: OwnNetwork, module: "nn.Module", observations: Any, *states: Any) -> tuple[Any, ...]:
    """Runs the module on observations (B, observation_size), and on states (B, state_size) if it is recurrent. Returns
    logits (B, outputs), values (B,) and, if it is recurrent, the next states, all float32. Raises ValueError that names
    the setting if it raises an exception or returns anything else."""
    where = network.where
    result = call(f"{where}: forward", module, observations, *states)
    rows, choices, size = len(observations), network.head.outputs, network.state_size
    wanted = f"logits of shape ({rows}, {choices}), values of shape ({rows},)"
    wanted = f"it must return ({wanted}{f', state of shape ({rows}, {size})' if states else ''})"
    try:
        logits, values, *following = result
        found = [logits.float(), values.float().reshape(rows), *(each.float() for each in following)]
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{where}: forward returns {_shown(result)}; {wanted}") from error
    shapes = [tuple(each.shape) for each in (logits, *following)]
    if shapes != [(rows, choices), *((rows, size) for _ in states)]:
        raise ValueError(f"{where}: forward returns {_shown(result)}; {wanted}")
    return tuple(found)


def _shown(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"({', '.join(_shown(each) for each in result)})"
    return f"shape {tuple(result.shape)}" if hasattr(result, "shape") else type(result).__name__
