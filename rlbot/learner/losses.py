"""The two losses of PPO, on float32 rows of one minibatch."""

import torch
from torch import Tensor


def policy_loss(ratio: Tensor, advantages: Tensor, clip_range: float) -> Tensor:
    """Clipped surrogate, to be minimised; ratio = new probability / old. Schulman et al. (2017), eq. 7."""
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()


def value_loss(values: Tensor, returns: Tensor, old_values: Tensor, clip_range: float | None) -> Tensor:
    """Half the mean squared error; with a clip range, the worse of the value and the value clipped around the
    old one."""
    errors = (values - returns).square()
    if clip_range is not None:
        clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
        errors = torch.maximum(errors, (clipped - returns).square())
    return 0.5 * errors.mean()


def approximate_kl(log_ratio: Tensor, ratio: Tensor) -> Tensor:
    """KL(old || new) from samples of old: the mean of (ratio - 1) - log ratio, never negative and of low
    variance.

    Schulman (2020), "Approximating KL Divergence", estimator k3.
    """
    return ((ratio - 1.0) - log_ratio).mean()
