"""Storage of one rollout: T steps of A agents."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def _host(values: Any) -> NDArray[Any]:
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


class Rollout:
    """Preallocated CPU tensors, filled step by step with `add`, closed with `finish`, reused after `clear`.

    observations (T+1, A, observation_size): row t is what the action of step t saw, row T what came after the
    last step. actions (T, A, *action_shape); log_probs, rewards (T, A) float32; terminated, truncated (T, A)
    bool.
    """

    def __init__(
        self,
        num_steps: int,
        num_agents: int,
        observation_size: int,
        action_shape: tuple[int, ...],
        action_dtype: torch.dtype,
        pin_memory: bool = False,
    ) -> None:
        """pin_memory: page-locked memory, from which a CUDA device copies without waiting."""

        def tensor(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, pin_memory=pin_memory)

        self.num_steps = num_steps
        self.num_agents = num_agents
        self.observations = tensor(num_steps + 1, num_agents, observation_size)
        self.actions = tensor(num_steps, num_agents, *action_shape, dtype=action_dtype)
        self.log_probs = tensor(num_steps, num_agents)
        self.rewards = tensor(num_steps, num_agents)
        self.terminated = tensor(num_steps, num_agents, dtype=torch.bool)
        self.truncated = tensor(num_steps, num_agents, dtype=torch.bool)
        # The same memory seen by NumPy, whose row assignment costs a fraction of a tensor's.
        self._rows = [
            each.numpy()
            for each in (
                self.observations,
                self.actions,
                self.log_probs,
                self.rewards,
                self.terminated,
                self.truncated,
            )
        ]
        self.clear()

    def clear(self) -> None:
        """Forget everything stored; the memory is kept."""
        self.step = 0
        self.finished = False
        self._final: list[NDArray[np.float32]] = []

    def add(
        self,
        obs: Any,
        actions: Any,
        log_probs: Any,
        rewards: Any,
        terminated: Any,
        truncated: Any,
        final_obs: Any,
    ) -> None:
        """Store one step of all agents; NumPy arrays or tensors.

        obs (A, observation_size) is what the agents acted on; final_obs (A, observation_size) is what the
        step led to before a reset, read (and copied) only where a row was truncated and not terminated; None
        where no row was.

        Raises RuntimeError when the rollout is full.
        """
        if self.step >= self.num_steps or self.finished:
            raise RuntimeError(
                f"The rollout already holds its {self.num_steps} steps; clear() it before adding more."
            )
        terminated, truncated = _host(terminated), _host(truncated)
        for rows, values in zip(
            self._rows, (obs, actions, log_probs, rewards, terminated, truncated), strict=True
        ):
            values = _host(values)
            assert values.shape == rows.shape[1:], f"got {values.shape}, expected {rows.shape[1:]}"
            rows[self.step] = values
        bootstrapped = truncated & ~terminated
        if bootstrapped.any():
            self._final.append(_host(final_obs)[bootstrapped].astype(np.float32))
        self.step += 1

    def finish(self, last_obs: Any) -> None:
        """Close the full rollout with the current observations (A, observation_size). Raises RuntimeError if
        not full."""
        if self.step != self.num_steps:
            raise RuntimeError(
                f"The rollout holds {self.step} of {self.num_steps} steps; it cannot be finished yet."
            )
        self._rows[0][self.num_steps] = _host(last_obs)
        self.finished = True

    @property
    def final_observations(self) -> Tensor:
        """(K, observation_size): what truncated rows led to, in row-major order of (T, A)."""
        if not self._final:
            return self.observations.new_zeros((0, self.observations.shape[-1]))
        return torch.from_numpy(np.concatenate(self._final))
