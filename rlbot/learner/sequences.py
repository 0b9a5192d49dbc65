"""The rows of a rollout as sequences of consecutive steps of one agent, for backpropagation through time."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """The T * agents rows of a rollout, in its order (step * agents + agent), are divided into sequences of `length`
    rows, in order of their first rows. T is a multiple of the length. None: each row stays by itself."""

    agents: int
    length: int | None

    def fold(self, rows: Tensor) -> Tensor:
        """(T * agents, ...) -> (T / length * agents, length, ...)."""
        if self.length is None:
            return rows
        count = len(rows) // (self.length * self.agents)
        return rows.reshape(count, self.length, self.agents, *rows.shape[1:]).transpose(1, 2).flatten(0, 1)

    def unfold(self, sequences: Tensor) -> Tensor:
        """The inverse of `fold`."""
        if self.length is None:
            return sequences
        return sequences.reshape(-1, self.agents, *sequences.shape[1:]).transpose(1, 2).flatten(0, 2)
