"""Scales rewards so that returns have a standard deviation of about one."""

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from rlbot.hardware import SINGLE
from rlbot.learner.batch_shard import BatchShard
from rlbot.learner.gae import Flags, Floats
from rlbot.model.running import RunningMeanStd, moments_of


@njit(cache=True)
def _discounted_sums(rewards: Floats, done: Flags, gamma: float, running: NDArray[np.float64]) -> NDArray[np.float64]:
    steps, agents = rewards.shape
    sums = np.empty((steps, agents), dtype=np.float64)
    for t in range(steps):
        for a in range(agents):
            running[a] = running[a] * gamma + rewards[t, a]
            sums[t, a] = running[a]
            if done[t, a]:
                running[a] = 0.0
    return sums


class ReturnScale:
    """Running standard deviation of the discounted sum of past rewards, as in Gymnasium's NormalizeReward.

    The sum R[t] = gamma R[t-1] + r[t] starts at 0 in every episode and continues from rollout to rollout. The
    statistics are updated with a complete rollout before the learner trains on it. So all its rows have the same scale,
    and the scale includes rewards that are larger than all before.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self.statistics = RunningMeanStd()
        self.running = np.zeros(0)  # (A,), the current sums of the agents of all ranks

    @property
    def scale(self) -> float:
        """The divisor of the rewards; 1 as long as all returns are equal."""
        std = float(self.statistics.std)
        return std if std > 1e-6 else 1.0

    def update(self, rewards: Floats, done: Flags, shard: BatchShard | None = None) -> None:
        """Updates the statistics with a rollout: rewards and done (terminated or truncated), (T, A), of this rank.

        A rollout with rewards that are not finite is ignored, because it would make the statistics NaN forever.
        """
        shard = shard or BatchShard(SINGLE, rewards.shape[1])
        if len(self.running) != shard.agents:
            self.running = np.zeros(shard.agents)
        running = self.running[shard.start : shard.stop].copy()
        moments = moments_of(_discounted_sums(rewards, done, self.gamma, running).reshape(-1, 1))
        parts = shard.group.gather((bool(np.isfinite(rewards).all()), running, moments))
        if all(finite for finite, *_ in parts):
            self.running = np.concatenate([running for _, running, _ in parts])
            for *_, (count, mean, m2) in parts:
                self.statistics.merge((count, mean[0], m2[0]))

    def restart(self) -> None:
        """Restarts the statistics with the next rollout, which begins new episodes; until then the scale stays."""
        self.statistics.count.zero_()
        self.running = np.zeros(0)

    def state(self) -> dict[str, torch.Tensor]:
        """Returns copies of everything that `load_state` needs."""
        tensors = {name: tensor.clone() for name, tensor in self.statistics.state_dict().items()}
        return {**tensors, "running": torch.from_numpy(self.running.copy())}

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        self.statistics.load_state_dict({name: tensors[name] for name in ("count", "mean", "var")})
        self.running = tensors["running"].cpu().numpy().copy()
