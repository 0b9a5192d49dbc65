"""Running mean and variance of a stream of batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn

Moments = tuple[Tensor, Tensor, Tensor]


def merge_moments(first: Moments, second: Moments) -> Moments:
    """Merges the moments of two samples: (count, mean, M2), where M2 is the sum of squared deviations.

    Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances". If
    every rank merges the moments of all ranks in the same order, all have the same statistics.
    """
    count_a, mean_a, m2_a = first
    count_b, mean_b, m2_b = second
    count = count_a + count_b
    share = count_b / count.clamp(min=1.0)
    delta = mean_b - mean_a
    return count, mean_a + delta * share, m2_a + m2_b + delta * delta * (count_a * share)


def moments_of(rows: NDArray[Any]) -> Moments:
    """Returns (count, mean, M2) of the rows (R, K), float64. They are summed in order, so they are the same on every
    processor and with any number of threads."""
    mean, m2 = _moments(rows)
    return torch.tensor(float(len(rows)), dtype=torch.float64), torch.from_numpy(mean), torch.from_numpy(m2)


@njit(cache=True)
def _moments(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count, width = rows.shape
    mean, m2 = np.zeros(width), np.zeros(width)
    for r in range(count):
        for k in range(width):
            mean[k] += rows[r, k]
    mean /= max(count, 1)
    for r in range(count):
        for k in range(width):
            m2[k] += (rows[r, k] - mean[k]) ** 2
    return mean, m2


class RunningMeanStd(nn.Module):
    """Mean and (population) variance of all rows so far, in float64 buffers, so that a state_dict restores them.

    Before the first row the mean is 0 and the variance 1.
    """

    count: Tensor
    mean: Tensor
    var: Tensor

    def __init__(self, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(tuple(shape), dtype=torch.float64))
        self.register_buffer("var", torch.ones(tuple(shape), dtype=torch.float64))

    def moments(self) -> Moments:
        """Returns (count, mean, M2) of all rows so far."""
        return self.count, self.mean, self.var * self.count

    @torch.no_grad()
    def merge(self, moments: Moments) -> None:
        """Adds a sample given by its (count, mean, M2), such as that of another rank. An empty one changes nothing."""
        count, mean, m2 = merge_moments(self.moments(), moments)
        if count > 0:
            self.count.copy_(count)
            self.mean.copy_(mean)
            self.var.copy_(m2 / count)

    @property
    def std(self) -> Tensor:
        return self.var.sqrt()
