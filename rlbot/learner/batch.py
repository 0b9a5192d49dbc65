"""The rows that an update learns from, on the device."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from rlbot.learner.batch_shard import BatchShard


@dataclass(frozen=True)
class Batch:
    """T * A rows, in the order of the rollout. Values are in scaled units, observations in the precision of the first
    layer. masks: of the actions, (rows, 0) without them. shard: which part of the batch of all ranks these rows are.

    For a recurrent network the rows are sequences (rlbot.learner.sequences), so that each column has another axis after
    the first; states (rows, state_size) are those before a sequence, begins (rows, length) where an episode begins."""

    shard: BatchShard
    observations: Tensor
    actions: Tensor
    masks: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor
    values: Tensor
    states: Tensor | None = None
    begins: Tensor | None = None

    def columns(self) -> dict[str, Tensor]:
        """Returns the tensors by name, in the order above."""
        named = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "shard"}
        return {name: column for name, column in named.items() if column is not None}

    def blank(self) -> "Batch":
        """Returns a batch of the same shapes in memory of its own, without a finite number in it: a gradient step on
        its rows is not taken. The actions are 0, which is one of them in any head."""
        nothing: dict[str, Any] = {
            name: torch.full_like(column, torch.nan if column.is_floating_point() else 0)
            for name, column in self.columns().items()
        }
        return replace(self, **nothing)

    def copy_(self, other: "Batch") -> None:
        """Overwrites the rows with those of a batch of the same shapes."""
        for mine, theirs in zip(self.columns().values(), other.columns().values(), strict=True):
            mine.copy_(theirs)

    def is_like(self, other: "Batch") -> bool:
        """Whether both have the same shapes and are of the same part."""
        pairs = zip(self.columns().values(), other.columns().values(), strict=True)
        return all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
