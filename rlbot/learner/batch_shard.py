"""Which part of the whole batch lies in this process, and what is known of the whole."""

from functools import reduce

import torch
from torch import Tensor

from rlbot.hardware import Group
from rlbot.model.running import Moments, RunningMeanStd, merge_moments


class BatchShard:
    """The agents [start, stop) of the `agents` that all processes play, in order of their ranks.

    A row of the whole batch has the number step * agents + agent, so that an order of rows, drawn from the same seed in
    every process, means the same transitions however many processes there are.
    """

    def __init__(self, group: Group, num_agents: int) -> None:
        """`num_agents`: of this process's rollout. To be made by all processes together."""
        counts = group.gather(num_agents)
        self.group = group
        self.start = sum(counts[: group.rank])
        self.stop = self.start + num_agents
        self.agents = sum(counts)

    @property
    def whole(self) -> bool:
        """Whether this process has everything."""
        return self.stop - self.start == self.agents

    def rows(self, whole: Tensor) -> Tensor:
        """Of these rows of the whole batch those that lie here, as rows of this process's part, in the same order."""
        if self.whole:
            return whole
        step, agent = whole // self.agents, whole % self.agents
        mine = (agent >= self.start) & (agent < self.stop)
        return step[mine] * (self.stop - self.start) + agent[mine] - self.start

    def moments(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and (population) standard deviation of the rows (R, K) of all processes, (K,) float64 each."""
        count, mean, m2 = reduce(merge_moments, self.group.gather(moments_of(rows)))
        return mean, (m2 / count).sqrt()


@torch.no_grad()
def moments_of(rows: Tensor) -> Moments:
    """(count, mean, M2) of the rows (R, K)."""
    one = RunningMeanStd(rows.shape[1:])
    one.update(rows)
    return one.moments()
