"""Draws one PNG of some matches: heat maps of ball and cars, the positions of shots, and boost over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

BINS = (60, 48)  # along and across the field
EXTENT = (-6000.0, 6000.0, -4096.0, 4096.0)  # uu: y, x
_SHADES = ("#f4f6fa", "#3f93ff", "#ff922e")  # ball, first player, second player
_DARK = "#0e131c"


@dataclass
class Traces:
    """The data of the picture. The first player always plays from left to right, whatever its team was.

    `heat` (3, 60, 48): how often the ball, the cars of the first player and those of the second were in each cell,
    along and across the field. `shots` (K, 3) of the first player: x and y of the ball in uu, and 1 for a goal.
    `boost` (2, S): the sum of the boost of each player's cars in each second of a match; `boost_count` (2, S): the
    number of values in each sum.
    """

    heat: NDArray[np.int64]
    shots: NDArray[np.float32]
    boost: NDArray[np.float64]
    boost_count: NDArray[np.int64]

    @classmethod
    def empty(cls, seconds: float) -> "Traces":
        length = max(int(np.ceil(seconds)), 1)
        heat, shots = np.zeros((3, *BINS), np.int64), np.zeros((0, 3), np.float32)
        return cls(heat, shots, np.zeros((2, length)), np.zeros((2, length), np.int64))

    def add(self, other: "Traces") -> None:
        """Adds the data of other matches of the same length."""
        self.heat += other.heat
        self.shots = np.concatenate([self.shots, other.shots])
        self.boost += other.boost
        self.boost_count += other.boost_count


def cells(places: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the indices (M,) and (M,) in `Traces.heat` of positions (M, 2), [x, y] in uu."""
    low, high = np.array([EXTENT[2], EXTENT[0]]), np.array([EXTENT[3], EXTENT[1]])
    share = (places - low) / (high - low)
    at = np.clip((share * BINS[::-1]).astype(np.int64), 0, np.array(BINS[::-1]) - 1)
    return at[:, 1], at[:, 0]


def draw(traces: Traces, names: Sequence[str], title: str, file: Path | BinaryIO, dpi: int = 80) -> None:
    """Writes the PNG, of 13 x 7.4 times `dpi` pixels."""
    from matplotlib import style
    from matplotlib.figure import Figure  # imported here, as it takes a second; without pyplot no display is needed

    with style.context("dark_background"):
        figure = Figure(figsize=(13, 7.4), layout="constrained")
        axes = figure.subplots(2, 3)
        figure.set_facecolor(_DARK)
        figure.suptitle(title)
        for axis in axes.flat:
            axis.set_facecolor(_DARK)
        for axis, heat, shade, name in zip(axes[0], traces.heat, _SHADES, ("ball", *names), strict=True):
            _heat(axis, heat, shade, name)
        _shots(axes[1, 0], traces, names[0])
        _boost(axes[1, 1], traces, names)
        _along(axes[1, 2], traces, names)
        figure.savefig(file, dpi=dpi, format="png")


def _heat(axis: Any, counts: NDArray[np.int64], shade: str, title: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list(title, [_DARK, shade, "white"])
    picture = np.sqrt(_blur(counts.astype(np.float64)).T)  # the square root makes rare positions visible
    axis.imshow(picture, extent=EXTENT, origin="lower", cmap=colors, aspect="equal", interpolation="bilinear")
    _lines(axis, title)


def _blur(counts: NDArray[Any]) -> NDArray[Any]:
    """Smooths the counts: a kernel of (1, 2, 1) / 4 along both axes, twice."""
    for _ in range(2):
        padded = np.pad(counts, 1, mode="edge")
        counts = (padded[:-2] + 2 * padded[1:-1] + padded[2:])[:, 1:-1] / 4
        padded = np.pad(counts, 1, mode="edge")
        counts = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:])[1:-1] / 4
    return counts


def _lines(axis: Any, title: str) -> None:
    white = {"color": "white", "linewidth": 0.8, "alpha": 0.6}
    corners = [(-5120, 2944), (-3968, 4096), (3968, 4096), (5120, 2944), (5120, 893), (6000, 893), (6000, -893)]
    outline = [*corners, (5120, -893), (5120, -2944), (3968, -4096), (-3968, -4096), (-5120, -2944)]
    outline += [(-5120, -893), (-6000, -893), (-6000, 893), (-5120, 893), (-5120, 2944)]
    axis.plot(*zip(*outline, strict=True), **white)
    axis.plot((0, 0), (-4096, 4096), **white)
    angle = np.linspace(0, 2 * np.pi, 60)
    axis.plot(915 * np.cos(angle), 915 * np.sin(angle), **white)
    axis.set(title=title, xticks=[], yticks=[], xlim=(-6100, 6100), ylim=(-4200, 4200))


def _shots(axis: Any, traces: Traces, name: str) -> None:
    for scored, marker, size, label in ((False, "o", 26, "no goal"), (True, "*", 90, "goal")):
        chosen = traces.shots[(traces.shots[:, 2] > 0) == scored]
        color = _SHADES[1] if scored else "#8d99a8"
        axis.scatter(
            chosen[:, 1], chosen[:, 0], s=size, marker=marker, color=color, label=f"{label}: {len(chosen)}", alpha=0.85
        )
    axis.set_aspect("equal")
    _lines(axis, f"shots of {name}, who plays to the right")
    axis.legend(loc="lower left", fontsize=8, framealpha=0.5)


def _boost(axis: Any, traces: Traces, names: Sequence[str]) -> None:
    mean = traces.boost / np.maximum(traces.boost_count, 1)
    for values, name, color in zip(mean, names, _SHADES[1:], strict=True):
        axis.plot(np.arange(len(values)) + 0.5, values, color=color, label=name)
    axis.set(title="boost of a car", xlabel="seconds", ylim=(0, 100))
    axis.grid(alpha=0.2)
    axis.legend(fontsize=8)


def _along(axis: Any, traces: Traces, names: Sequence[str]) -> None:
    places = np.linspace(EXTENT[0], EXTENT[1], BINS[0])
    for heat, name, color in zip(traces.heat, ("ball", *names), _SHADES, strict=True):
        along = _blur(heat.astype(np.float64)).sum(1)
        axis.plot(places, along / max(along.sum(), 1), color=color, label=name)
    axis.axvline(0, color="white", alpha=0.3)
    axis.set(title="position along the field", xlabel=f"toward the goal of {names[1]}", yticks=[], xticks=[])
    axis.legend(fontsize=8)
