"""An actor-critic around a network of the user's own."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import Head, masked


class OwnActorCritic(nn.Module):
    """Policy and value from one module: (B, observation_size) -> logits (B, head.num_outputs), values (B,).

    A recurrent module has a state. Its inputs (B, observation_size + state_size) are observations and states, joined,
    and it learns from sequences of steps, with backpropagation through time.

    It is always in evaluation mode: dropout and batch norm would act in one way and learn in another.
    """

    def __init__(
        self, observation_size: int, head: Head, network: nn.Module, forward: Any, state_size: int = 0
    ) -> None:
        """forward(network, observations) -> (logits, values), float32, of the right shapes. With a state_size:
        forward(network, observations, states) -> (logits, values, next states)."""
        super().__init__()
        self.observation_size, self.head, self.network = observation_size, head, network.eval()
        self._forward, self.state_size = forward, state_size

    def _run(self, inputs: Tensor) -> tuple[Tensor, ...]:
        size = self.observation_size
        split = (inputs[:, :size], inputs[:, size:]) if self.state_size else (inputs,)
        outputs: tuple[Tensor, ...] = self._forward(self.network, *split)
        return outputs

    def actor_outputs(self, inputs: Tensor) -> Tensor:
        """inputs (B, observation_size + state_size) -> logits and next states, joined, float32."""
        logits, _, *states = self._run(inputs)
        return torch.cat([logits, *states], 1)

    def actor_logits(self, inputs: Tensor) -> Tensor:
        """inputs (B, observation_size + state_size) -> the logits for the head, (B, head.num_outputs) float32."""
        return self._run(inputs)[0]

    def value(self, inputs: Tensor) -> Tensor:
        """inputs (B, observation_size + state_size) -> expected scaled return (B,) float32."""
        return self._run(inputs)[1]

    def evaluate(
        self,
        obs: Tensor,
        actions: Tensor,
        masks: Tensor | None = None,
        states: Tensor | None = None,
        begins: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns (log_prob, entropy, value), each (B,) float32, of stored actions (B, *head.action_shape). masks:
        among what they were chosen, see `masked`.

        A recurrent module gets sequences of L steps: obs (B, L, observation_size), actions (B, L, *head.action_shape),
        the states (B, state_size) before the first step, and whether an episode begins with a step, `begins` (B, L).
        The results are (B, L)."""
        if states is None or begins is None:
            logits, values = self._forward(self.network, obs)
        else:
            logits, values = self._unroll(obs, states, begins)
        return (*self.head.log_prob_entropy(masked(logits, masks), actions), values)

    def _unroll(self, obs: Tensor, states: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits (B, L, head.num_outputs) and values (B, L) of sequences."""
        unroll: Any = getattr(self.network, "unroll", None)  # faster than step by step
        if unroll is None:
            return self._step_by_step(obs, states, begins)
        logits, values = unroll(obs, states, begins)
        return logits.float(), values.float().reshape(begins.shape)

    def _step_by_step(self, obs: Tensor, states: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for seen, begin in zip(obs.unbind(1), begins.unbind(1), strict=True):
            states = states.masked_fill(begin.unsqueeze(1), 0.0)
            *outputs, states = self._forward(self.network, seen, states)
            found.append(outputs)
        logits, values = zip(*found, strict=True)
        return torch.stack(logits, 1), torch.stack(values, 1)

    @torch.inference_mode()
    def unroll_error(self, obs: Tensor) -> float:
        """The largest difference between the module's `unroll` and its steps one by one, as a share of the largest
        logit or value, in three steps with obs (B, observation_size) each; an episode begins with the last. 0 if it has
        no `unroll`."""
        rows = obs.unsqueeze(1).expand(-1, 3, -1), obs.new_zeros(len(obs), self.state_size)
        begins = torch.tensor([False, False, True], device=obs.device).expand(len(obs), 3)
        pairs = zip(self._unroll(*rows, begins), self._step_by_step(*rows, begins), strict=True)
        return max(float((one - other).abs().max() / other.abs().max().clamp(min=1e-6)) for one, other in pairs)

    def unused(self, inputs: Tensor) -> list[str]:
        """Returns the names of the weights that have no part in the outputs, and so would never learn."""
        names, weights = zip(*self.network.named_parameters(), strict=True)
        total = torch.stack([each.sum() for each in self._run(inputs)]).sum()
        gradients = torch.autograd.grad(total, weights, allow_unused=True)
        return [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]

    def actor_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Returns all that acting needs, on the host, by their names in the state_dict."""
        return {name: each.detach().cpu().numpy() for name, each in self.state_dict().items()}


AnyModel = ActorCritic | OwnActorCritic
