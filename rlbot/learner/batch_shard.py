"""The shard of the batch that this rank holds, and statistics of the whole batch."""

import math
from functools import reduce
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from rlbot.hardware import Group
from rlbot.model.running import merge_moments, moments_of


class BatchShard:
    """This rank's agents [start, stop) of the `agents` of all ranks, in order of the ranks.

    A row of the whole batch has the number step * agents + agent. So a permutation of rows, drawn from the same seed in
    every rank, selects the same transitions for any number of ranks.
    """

    def __init__(self, group: Group, num_agents: int) -> None:
        """`num_agents`: in this rank's rollout. All ranks must call this together."""
        counts = group.gather(num_agents)
        self.group = group
        self.start = sum(counts[: group.rank])
        self.stop = self.start + num_agents
        self.agents = sum(counts)

    @property
    def whole(self) -> bool:
        """Whether this rank holds the whole batch."""
        return self.stop - self.start == self.agents

    def rows(self, whole: Tensor) -> Tensor:
        """Selects those of these rows of the whole batch that this rank holds, and returns them as rows of its shard,
        in the same order."""
        if self.whole:
            return whole
        step, agent = whole // self.agents, whole % self.agents
        mine = (agent >= self.start) & (agent < self.stop)
        return step[mine] * (self.stop - self.start) + agent[mine] - self.start

    def room(self, rows: int) -> int:
        """Returns a number of rows that this rank hardly ever has more of in a minibatch of `rows` of the whole batch:
        six standard deviations above the mean, in whole blocks of 64."""
        share = (self.stop - self.start) / self.agents
        most = rows * share + 6.0 * math.sqrt(rows * share * (1.0 - share))
        return min(rows, math.ceil(most / 64) * 64)

    def moments(self, rows: NDArray[Any]) -> tuple[Tensor, Tensor]:
        """Returns the mean and (population) standard deviation of the rows (R, K) of all ranks, (K,) float64 each."""
        count, mean, m2 = reduce(merge_moments, self.group.gather(moments_of(rows)))
        return mean, (m2 / count).sqrt()
