"""Parallel coordinates (Inselberg, 1985): a line for each job, an axis for each setting and for the objective."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlbot.processes.text import printable  # the font has not every letter
from rlbot.sweep.values import number, shown

_MANY = 8  # largest number of distinct values of which all are labelled
_DECADE = 10.0  # ratio of largest to smallest value from which an axis is logarithmic


class Axis(NamedTuple):
    places: list[float]  # of each job; 0: bottom, 1: top
    ticks: list[tuple[float, str]]
    log: bool


def axis_of(texts: Sequence[str]) -> Axis:
    """The axis for the values of all jobs: numbers by size, other values at equal distances."""
    numbers = [value for value in map(number, texts) if value is not None]
    if len(numbers) < len(texts):
        names = sorted(set(texts))
        heights = {name: i / (len(names) - 1) if len(names) > 1 else 0.5 for i, name in enumerate(names)}
        labelled = names[:: math.ceil(len(names) / _MANY)]
        return Axis([heights[text] for text in texts], [(heights[name], shown(name)) for name in labelled], False)
    log = min(numbers) > 0 and max(numbers) / min(numbers) >= _DECADE
    scaled = np.log10(numbers) if log else np.array(numbers)
    low, span = scaled.min(), np.ptp(scaled)
    marks = np.unique(scaled)
    if len(marks) > _MANY:
        marks = np.linspace(low, low + span, 5)
    heights_of = {mark: float((mark - low) / span) if span else 0.5 for mark in marks.tolist()}
    places = ((scaled - low) / span if span else np.full(len(scaled), 0.5)).tolist()
    return Axis(places, [(height, shown(10**mark if log else mark)) for mark, height in heights_of.items()], log)


def draw(settings: Sequence[tuple[str, Sequence[str]]], objective: str, values: Sequence[float], path: Path) -> None:
    """Write the plot as PNG. `settings`: (name, value in each job); `values`: the objective of each job."""
    import matplotlib  # imported here, as it takes a second
    from matplotlib.figure import Figure  # without pyplot no display is needed

    names = [*(name for name, _ in settings), objective]
    lanes = [*(axis_of(texts) for _, texts in settings), axis_of([repr(value) for value in values])]
    figure = Figure(figsize=(max(6.0, 1.9 * len(lanes)), 5), layout="constrained")
    axes = figure.subplots()
    colors = matplotlib.colormaps["viridis"](lanes[-1].places)
    for job in np.argsort(values).tolist():  # the best on top
        # A small offset keeps equal values visible.
        apart = np.full(len(lanes), (job / len(values) - 0.5) * 0.03)
        apart[-1] = 0.0
        heights = np.array([lane.places[job] for lane in lanes]) + apart
        width = 3.0 if values[job] == max(values) else 1.3
        axes.plot(range(len(lanes)), heights, color=colors[job], linewidth=width, alpha=0.85)
    for at, (name, lane) in enumerate(zip(names, lanes, strict=True)):
        _label(axes, at, name, lane)
    axes.set(xlim=(-0.6, len(lanes) - 0.8), ylim=(-0.05, 1.15))
    axes.axis("off")
    figure.suptitle(f"{objective} of {len(values)} jobs, the highest in bold", fontsize=10)
    figure.savefig(path, dpi=120, format="png")


def _label(axes: Any, at: int, name: str, lane: Axis) -> None:
    style = {
        "parse_math": False,
        "fontsize": 8,
        "bbox": {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5},
    }
    axes.axvline(at, color="black", linewidth=0.8)
    axes.text(at, 1.07, printable(name) + (" (log)" if lane.log else ""), ha="center", va="bottom", **style)
    for height, label in lane.ticks:
        axes.plot([at - 0.02, at], [height, height], color="black", linewidth=0.8)
        axes.text(at - 0.04, height, printable(label), ha="right", va="center", **style)
