"""Action heads: they turn the outputs of the actor's last layer into actions and controls.

All heads have the same interface: `num_outputs`, `action_shape` and `action_dtype` (of ONE stored action), `sample`,
`sample_with_log_prob`, `mode`, `log_prob_entropy`, `controls`, `keep_bounds`. A row of controls is throttle, steer,
pitch, yaw, roll (-1 to 1), jump, boost, handbrake (0 or 1). Log-probabilities and entropies are float32 for logits of
any precision.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_CONTROLS = 8
NUM_AXES = 5  # throttle, steer, pitch, yaw, roll; the other three are buttons

LOG_STD_BOUNDS = (-5.0, 1.0)  # below, the ratio overflows; above, tanh turns almost every sample into -1 or 1

# Finite, because 0 * -inf would be NaN in the entropy; exp() of it is 0.
_IMPOSSIBLE = -1e9


def _draw(logits: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draws from categoricals over the last axis. Returns (choice int64, its log-probability float32), both (...).

    Inverts the cumulative distribution, which needs one random number per row. The Gumbel trick needs one for every
    choice and takes seven times as long for 128 rows of 90.
    """
    probs = logits.float().softmax(-1)
    cumulative = probs.cumsum(-1)
    uniform = torch.rand((*probs.shape[:-1], 1), generator=generator, device=probs.device)
    # uniform is at most 1 - 2^-24, so the point is below the total. right=True skips equal sums, and so choices of
    # probability zero. The clamp is needed only for NaN.
    point = uniform * cumulative[..., -1:]
    choice = torch.searchsorted(cumulative, point, right=True).clamp_(max=probs.shape[-1] - 1)
    return choice.squeeze(-1), probs.gather(-1, choice).log().squeeze(-1)


def masked(logits: Tensor, masks: Tensor | None) -> Tensor:
    """Makes actions impossible: the gradient of their logits is 0, and their part in the entropy. masks
    (B, ceil(K / 8)) uint8: a bit for each of the K logits, 1 if the action is allowed, as in rlbot.env.action_mask;
    None, or (B, 0): all are.

    Huang and Ontanon (2022), "A Closer Look at Invalid Action Masking in Policy Gradient Algorithms".
    """
    if masks is None or not masks.shape[-1]:
        return logits
    bits = masks.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8, device=masks.device) & 1
    return logits.masked_fill(bits.flatten(-2)[..., : logits.shape[-1]] == 0, _IMPOSSIBLE)


def _log_prob_entropy(logits: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the log-probability of `choice` (...) and the entropy in nats of categoricals over the last axis of
    logits (..., K)."""
    log_probs = logits.float().log_softmax(-1)
    chosen = log_probs.gather(-1, choice.unsqueeze(-1)).squeeze(-1)
    return chosen, -(log_probs.exp() * log_probs).sum(-1)


class TableHead(nn.Module):
    """One choice among the K rows of a table of controls. A stored action is the row's number."""

    action_shape: tuple[int, ...] = ()
    action_dtype: type[np.generic] = np.int64
    table: Tensor

    def __init__(self, table: Any) -> None:
        """table: (K, 8) controls. It is part of the state_dict, so that a policy is always used with its own table."""
        super().__init__()
        rows = torch.as_tensor(np.array(np.asarray(table), dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != NUM_CONTROLS or len(rows) < 2:
            raise ValueError(f"The action table has shape {tuple(rows.shape)}; it must be (K, {NUM_CONTROLS}), K > 1.")
        self.register_buffer("table", rows)
        self.num_outputs = len(rows)

    def keep_bounds(self) -> None:
        """Does nothing: it has no parameters."""

    def sample(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return _draw(logits, generator)[0]

    def sample_with_log_prob(self, logits: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        return _draw(logits, generator)

    def mode(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def log_prob_entropy(self, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        return _log_prob_entropy(logits, actions)

    def controls(self, actions: Tensor) -> Tensor:
        return self.table.index_select(0, actions)


class MultiDiscreteHead(nn.Module):
    """Eight independent choices: -1, 0 or 1 for each axis, released or pressed for each button.

    Logits (B, 21): five axes of three, then three buttons of two. A stored action is eight choice numbers.
    """

    num_outputs = NUM_AXES * 3 + (NUM_CONTROLS - NUM_AXES) * 2
    action_shape: tuple[int, ...] = (NUM_CONTROLS,)
    action_dtype: type[np.generic] = np.int64

    def _split(self, logits: Tensor) -> Tensor:
        """(B, 21) -> (B, 8, 3), with an impossible third choice for buttons, so that one categorical call draws all."""
        axes = logits[..., : NUM_AXES * 3].reshape(*logits.shape[:-1], NUM_AXES, 3)
        buttons = logits[..., NUM_AXES * 3 :].reshape(*logits.shape[:-1], NUM_CONTROLS - NUM_AXES, 2)
        return torch.cat([axes, F.pad(buttons, (0, 1), value=_IMPOSSIBLE)], -2)

    def keep_bounds(self) -> None:
        """Does nothing: it has no parameters."""

    def sample(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.sample_with_log_prob(logits, generator)[0]

    def sample_with_log_prob(self, logits: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        choices, log_probs = _draw(self._split(logits), generator)
        return choices, log_probs.sum(-1)

    def mode(self, logits: Tensor) -> Tensor:
        return self._split(logits).argmax(-1)

    def log_prob_entropy(self, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_probs, entropies = _log_prob_entropy(self._split(logits), actions)
        return log_probs.sum(-1), entropies.sum(-1)

    def controls(self, actions: Tensor) -> Tensor:
        return torch.cat([actions[..., :NUM_AXES] - 1, actions[..., NUM_AXES:]], -1).float()


class ContinuousHead(nn.Module):
    """A Gaussian squashed by tanh for each control; a button is pressed if its value is above 0.

    Logits (B, 8) are the means before tanh. The log standard deviations are a parameter, do not depend on the state,
    and are from -5 to 1. A stored action is the sample before tanh, so that its log-probability is exact even if tanh
    saturates.
    """

    num_outputs = NUM_CONTROLS
    action_shape: tuple[int, ...] = (NUM_CONTROLS,)
    action_dtype: type[np.generic] = np.float32
    nodes: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_std = nn.Parameter(torch.zeros(NUM_CONTROLS))
        self.register_load_state_dict_post_hook(_keep_bounds)  # type: ignore[no-untyped-call]
        hermegauss: Any = np.polynomial.hermite_e.hermegauss  # without types in NumPy 1.26
        nodes, weights = hermegauss(20)
        self.register_buffer("nodes", torch.tensor(nodes, dtype=torch.float32), persistent=False)
        weights = weights / math.sqrt(2.0 * math.pi)
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)

    @torch.no_grad()
    def keep_bounds(self) -> None:
        """Clamps log_std to [-5, 1]. Call it after every optimizer step. The parameter itself is clamped, because a
        clamp in the forward pass has no gradient outside of the bounds, so that it could never come back."""
        self.log_std.clamp_(*LOG_STD_BOUNDS)

    @staticmethod
    def _log_slope(x: Tensor) -> Tensor:
        """log(1 - tanh(x)^2), in a form that is exact for large x (as in the SAC reference code)."""
        return 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x))

    def sample(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(logits.shape, generator=generator, device=logits.device)
        return logits.float() + self.log_std.exp() * noise

    def sample_with_log_prob(self, logits: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        actions = self.sample(logits, generator)
        return actions, self._log_prob(logits.float(), actions)

    def mode(self, logits: Tensor) -> Tensor:
        return logits.float()

    def _log_prob(self, mean: Tensor, actions: Tensor) -> Tensor:
        log_std = self.log_std
        z = (actions - mean) * (-log_std).exp()
        normal = -0.5 * z * z - log_std - 0.5 * math.log(2.0 * math.pi)
        return (normal - self._log_slope(actions)).sum(-1)

    def log_prob_entropy(self, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The entropy is that of the squashed variable: Gaussian entropy + E[log tanh'], by 20-node Gauss-Hermite
        quadrature. Without the second term an entropy bonus would increase the standard deviation without limit."""
        mean, log_std = logits.float(), self.log_std
        points = mean.unsqueeze(-1) + log_std.exp().unsqueeze(-1) * self.nodes
        slope = (self._log_slope(points) * self.weights).sum(-1)
        entropy = 0.5 + 0.5 * math.log(2.0 * math.pi) + log_std + slope
        return self._log_prob(mean, actions), entropy.sum(-1)

    def controls(self, actions: Tensor) -> Tensor:
        axes = torch.tanh(actions[..., :NUM_AXES])
        return torch.cat([axes, (actions[..., NUM_AXES:] > 0).float()], -1)


def _keep_bounds(head: ContinuousHead, _: Any) -> None:
    head.keep_bounds()


Head = TableHead | MultiDiscreteHead | ContinuousHead
HEADS: dict[str, Any] = {"table": TableHead, "multi_discrete": MultiDiscreteHead, "continuous": ContinuousHead}


def make_head(kind: str, table: Any = None) -> Head:
    """Returns the head named by model.action_head: "table" (needs `table`, (K, 8) controls), "multi_discrete" or
    "continuous".

    Raises ValueError if the name is another one, or if "table" has no table.
    """
    if kind not in HEADS:
        raise ValueError(f"model.action_head={kind!r} is unknown; use one of {', '.join(HEADS)}.")
    if kind == "table" and table is None:
        raise ValueError("model.action_head=table needs an action table of shape (K, 8); none was given.")
    return TableHead(table) if kind == "table" else HEADS[kind]()
