"""Why a gradient step was not taken: asked only after it was not."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

MAX_ROWS = 4096  # of a minibatch that are kept, the largest numbers first


def cause(
    named: Mapping[str, Tensor],
    losses: Mapping[str, float],
    columns: Mapping[str, Tensor],
    gradients: Callable[[], Sequence[Tensor | None]],
) -> str:
    """What was not finite, for people: weights, else a part of the loss (with what of its rows is not finite, or how
    large they are), else the gradient of a parameter.

    named: the parameters. losses: the parts of the loss of the minibatch. columns: its rows. gradients: of the
    parameters, in their order, computed anew: the step is over, and the weights may have changed since.
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
    """Indices of the rows to keep: those that are not finite, then those with the largest numbers."""
    size = torch.stack([each.abs() for each in columns.values()]).amax(0)
    return torch.nan_to_num(size, nan=torch.inf, posinf=torch.inf).argsort(descending=True, stable=True)[:MAX_ROWS]


def _not_finite(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    return (name for name, each in tensors.items() if not bool(each.isfinite().all()))
