"""The two losses of PPO, on float32 rows of one minibatch."""

import torch
from torch import Tensor

_MOST = 2.0  # as much as a row may weigh: one that was very improbable must not outweigh all others


def importance(log_probs: Tensor, behaviour: Tensor) -> Tensor:
    """How much each row weighs where another policy acted: new probability / that of the policy that acted, at most 2
    (truncated as in Espeholt et al. (2018), IMPALA). The surrogate of a row with this weight is that of its advantage
    times the weight."""
    return (log_probs - behaviour).exp().clamp(max=_MOST)


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
