"""Finds out why a gradient step was not taken; called only after that has happened."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

MAX_ROWS = 4096  # rows of a minibatch that are saved, those with the largest numbers first


def cause(
    named: Mapping[str, Tensor],
    losses: Mapping[str, float],
    columns: Mapping[str, Tensor],
    gradients: Callable[[], Sequence[Tensor | None]],
) -> str:
    """Describes what was not finite: weights; otherwise a part of the loss (with the columns that are not finite, or
    how large they are); otherwise the gradient of a parameter.

    named: the parameters. losses: the parts of the loss of the minibatch. columns: its rows. gradients: returns the
    gradients of the parameters, in their order. They are computed anew, because the step is over; the weights may have
    changed since.
    """
    if spoilt := list(_not_finite(named)):
        return f"the weights of {spoilt[0]}"
    reach = {name: columns[name] for name in ("advantages", "returns")}
    reach["weights"] = torch.cat([each.detach().flatten() for each in named.values()])
    large = ", ".join(f"{name} reach {float(each.abs().max()):.3g}" for name, each in reach.items())
    for name, value in losses.items():
        if not math.isfinite(value):
            rows = ", ".join(_not_finite(columns))
            return f"{name} ({f'{rows} not finite' if rows else large})"
    found = {name: each for name, each in zip(named, gradients(), strict=True) if each is not None}
    spoilt = list(_not_finite(found))
    return f"the gradient{f' of {spoilt[0]}' if spoilt else ''} ({large})"


def worst_rows(columns: Mapping[str, Tensor]) -> Tensor:
    """Returns the indices of the rows to save: those that are not finite, then those with the largest numbers."""
    size = torch.stack([each.abs() for each in columns.values()]).amax(0)
    return torch.nan_to_num(size, nan=torch.inf, posinf=torch.inf).argsort(descending=True, stable=True)[:MAX_ROWS]


def _not_finite(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    return (name for name, each in tensors.items() if not bool(each.isfinite().all()))
