"""The losses of PPO, of each row of a minibatch, float32."""

from typing import Any

import torch
from torch import Tensor

_MAX_IMPORTANCE = 2.0  # the largest weight of a row, so that a very improbable one does not outweigh all others


def importance(log_probs: Tensor, behaviour: Tensor) -> Tensor:
    """Returns the importance weight of each row if another policy (`behaviour`) acted: new probability / probability of
    the policy that acted, at most 2 (truncated as in Espeholt et al. (2018), IMPALA). Multiplying the advantage by it
    weighs the row's surrogate."""
    return (log_probs - behaviour).exp().clamp(max=_MAX_IMPORTANCE)


def policy_loss(ratio: Tensor, advantages: Tensor, clip_range: Any) -> Tensor:
    """The clipped surrogate loss of each row, to be minimised; ratio = new probability / old; clip_range: a number, or
    a tensor that holds one. Schulman et al. (2017), eq. 7."""
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def value_loss(values: Tensor, returns: Tensor, old_values: Tensor, clip_range: float | None) -> Tensor:
    """Half the squared error of each row. With a clip range, it is the larger one of the value and of the value clipped
    around the old value."""
    errors = (values - returns).square()
    if clip_range is not None:
        clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
        errors = torch.maximum(errors, (clipped - returns).square())
    return 0.5 * errors


def approximate_kl(log_ratio: Tensor, ratio: Tensor) -> Tensor:
    """What each row, a sample of the old policy, adds to an estimate of KL(old || new): (ratio - 1) - log ratio, which
    is never negative. Their mean has low variance.

    Schulman (2020), "Approximating KL Divergence", estimator k3.
    """
    return (ratio - 1.0) - log_ratio
