"""Stores one rollout: T steps of A agents, in memory that several processes may share."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LINE = 64  # bytes of a cache line of the processor


class Shape(NamedTuple):
    """The shape of a rollout: the arguments of `Rollout`."""

    num_steps: int
    num_agents: int
    observation_size: int
    action_shape: tuple[int, ...]
    action_dtype: Any
    mask_size: int = 0


class Rollout:
    """Preallocated arrays, filled step by step with `add`, closed with `finish`, reused after `clear`.

    observations (T+1, A, observation_size): row t is the observation for which the action of step t was chosen, row T
    the one after the last step. actions (T, A, *action_shape); log_probs, rewards (T, A) float32; terminated, truncated
    (T, A) bool. masks (T, A, mask_size) uint8: the action masks, see rlbot.env.action_mask; empty without them. Of a
    recurrent network, the observations are its inputs: each is followed by the state before the step.
    """

    def __init__(
        self,
        num_steps: int,
        num_agents: int,
        observation_size: int,
        action_shape: tuple[int, ...],
        action_dtype: Any,
        mask_size: int = 0,
        memory: Any = None,
    ) -> None:
        """`memory`: a writable buffer of Rollout.num_bytes(shape), for example shared memory; None: a new one."""
        arrays = self._layout(num_steps, num_agents, observation_size, action_shape, action_dtype, mask_size)
        memory = bytearray(sum(size for *_, size in arrays) + _LINE) if memory is None else memory
        # The arrays begin at a cache line. Shared memory may begin at any address, and PyTorch's matrix products of few
        # rows differ in the last bits if a row begins 8 bytes off: training must not depend on that.
        at = -np.frombuffer(memory, np.uint8).ctypes.data % _LINE
        made = []
        for shape, dtype, size in arrays:
            made.append(np.frombuffer(memory, dtype, math.prod(shape), at).reshape(shape))
            at += size
        self._set(made)

    def _set(self, arrays: list[NDArray[Any]]) -> None:
        self._arrays = arrays
        self.observations, self.actions, self.log_probs, self.rewards, self.terminated, self.truncated = arrays[:6]
        self.masks = arrays[6]
        self.num_steps, self.num_agents = self.rewards.shape
        self.clear()

    @staticmethod
    def _layout(
        steps: int,
        agents: int,
        observation_size: int,
        action_shape: tuple[int, ...],
        action_dtype: Any,
        mask_size: int = 0,
    ) -> Any:
        shapes = [
            ((steps + 1, agents, observation_size), np.float32),
            ((steps, agents, *action_shape), action_dtype),
            *[((steps, agents), dtype) for dtype in (np.float32, np.float32, np.bool_, np.bool_)],
            ((steps, agents, mask_size), np.uint8),
        ]
        # Each array starts at a multiple of _LINE.
        lines = ((shape, np.dtype(d), -(-math.prod(shape) * np.dtype(d).itemsize // _LINE)) for shape, d in shapes)
        return [(shape, dtype, count * _LINE) for shape, dtype, count in lines]

    @classmethod
    def num_bytes(cls, shape: Shape) -> int:
        """Returns the size of the memory for a rollout of this shape."""
        sizes: list[int] = [size for *_, size in cls._layout(*shape)]
        return sum(sizes) + _LINE

    def columns(self, start: int, stop: int) -> "Rollout":
        """Returns the agents [start, stop) as a rollout that shares this one's memory."""
        part = Rollout.__new__(Rollout)
        part._set([array[:, start:stop] for array in self._arrays])
        return part

    def clear(self) -> None:
        """Empties the rollout; the memory is reused."""
        self.step = 0
        self.finished = False
        self._final: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []

    def add(
        self,
        obs: Any,
        actions: Any,
        log_probs: Any,
        rewards: Any,
        terminated: Any,
        truncated: Any,
        final_obs: Any,
        masks: Any = None,
    ) -> None:
        """Stores one step of all agents.

        obs (A, observation_size): the observations for which the actions were chosen. final_obs (A, observation_size):
        the observations after the step and before a reset; only the rows that are truncated and not terminated are read
        (and copied); None if there are no such rows. masks (A, mask_size): among what the actions were chosen; None
        if mask_size is 0. Raises RuntimeError if the rollout is full.
        """
        if self.step >= self.num_steps or self.finished:
            raise RuntimeError(f"The rollout already holds its {self.num_steps} steps; clear() it before adding more.")
        step = self.step
        masks = np.empty((self.num_agents, 0), np.uint8) if masks is None else masks
        given = (obs, actions, log_probs, rewards, terminated, truncated, masks)
        for rows, values in zip(self._arrays, given, strict=True):
            assert np.shape(values) == rows.shape[1:], f"got {np.shape(values)}, expected {rows.shape[1:]}"
            rows[step] = values
        if final_obs is not None:
            agents = np.flatnonzero(self.truncated[step] & ~self.terminated[step])
            if len(agents):
                index = np.stack([np.full(len(agents), step), agents], axis=1)
                self.add_final(index, np.asarray(final_obs)[agents])
        self.step += 1

    def add_final(self, index: NDArray[np.int64], observations: NDArray[np.float32]) -> None:
        """Stores the final observations (K, observation_size) of the truncated rows index (K, 2): step, agent."""
        self._final.append((index, observations.astype(np.float32)))

    def _finals(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns all final observations and their index, sorted by step, then agent. The order must not depend on the
        workers, because a row's place in a matrix product may change its last bits."""
        nothing = np.zeros((0, 2), np.int64), np.zeros((0, self.observations.shape[-1]), np.float32)
        index, observations = (np.concatenate(each) for each in zip(nothing, *self._final, strict=True))
        order = np.lexsort((index[:, 1], index[:, 0]))
        return index[order], observations[order]

    def finish(self, last_obs: Any) -> None:
        """Completes the full rollout with the current observations (A, observation_size). Raises RuntimeError if it is
        not full."""
        if self.step != self.num_steps:
            raise RuntimeError(f"The rollout holds {self.step} of {self.num_steps} steps; it cannot be finished yet.")
        self.observations[self.num_steps] = last_obs
        self.finished = True

    @property
    def final_index(self) -> NDArray[np.int64]:
        """(K, 2): step and agent of every row that was truncated and did not terminate, in this order."""
        return self._finals()[0]

    @property
    def final_observations(self) -> NDArray[np.float32]:
        """(K, observation_size): the final observation of each row of `final_index`."""
        return self._finals()[1]
