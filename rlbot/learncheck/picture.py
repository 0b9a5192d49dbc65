"""Draw the curves: results over timesteps and over minutes of training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbot.learncheck.curves import Median, Row, curves, medians

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colors of each recipe: against random, and against idle (dashed).
_COLORS = (("#0072b2", "#56b4e9"), ("#d55e00", "#e69f00"), ("#007a55", "#5fc9a0"), ("#8a3d77", "#cc79a7"))
_PANELS = (  # title, what is drawn, the interval that is shaded, against random
    ("touches a minute of a car", "touches_per_minute", None),
    ("goals a minute (dotted: against it)", "goals_for_per_minute", None),
    ("goal difference of a match", "goal_difference", "goal_difference"),
    ("share of matches won", "win_rate", "win_rate"),
)
_AXES = (("timesteps", 1e6, "million timesteps"), ("seconds", 60.0, "minutes of training"))


def draw(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Write directory/learncheck_TEAMS.png for every team size; returns the paths."""
    from matplotlib.figure import Figure  # imported here, as it takes a second; without pyplot no display is needed

    paths = []
    recipes = list(dict.fromkeys(row.recipe for row in rows))
    for teams in dict.fromkeys(row.teams for row in rows):
        figure = Figure(figsize=(16, 8), layout="constrained")
        axes = figure.subplots(len(_AXES), len(_PANELS), sharey="col")
        for (recipe, _, opponent), mine in curves([row for row in rows if row.teams == teams]).items():
            color = _COLORS[recipes.index(recipe) % len(_COLORS)][opponent == "idle"]
            style = {"color": color, "linestyle": "--" if opponent == "idle" else "-"}
            for axis_row, (x, unit, _) in zip(axes, _AXES, strict=True):
                for axis, (_, name, interval) in zip(axis_row, _PANELS, strict=True):
                    _curve(axis, mine, x, unit, name, interval, {**style, "label": f"{recipe} against {opponent}"})
        _dress(axes)
        handles, labels = axes[0, -1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(
            f"{teams} from kickoff. Thin: each seed. Thick: median over the seeds. Shaded: 95% interval against random"
        )
        paths.append(directory / f"learncheck_{teams}.png")
        figure.savefig(paths[-1], dpi=100, format="png")
    return paths


def _curve(
    axis: "Axes", rows: Sequence[Row], x: str, unit: float, name: str, interval: str | None, style: dict[str, Any]
) -> None:
    """Draw a thin line for each run, and the median as a thick line with its interval where all runs have a version."""
    runs = {run: [row for row in rows if row.run == run] for run in dict.fromkeys(row.run for row in rows)}
    middle = [each for each in medians(rows) if each.runs == len(runs)]
    thin = {**style, "linewidth": 0.8, "alpha": 0.6, "label": None}
    thick = {**style, "linewidth": 2.5, "marker": "o", "markersize": 4}

    def values(points: Sequence[Row | Median], what: str, divisor: float = 1.0) -> list[float]:
        return [getattr(point, what) / divisor for point in points]

    for mine in runs.values():
        axis.plot(values(mine, x, unit), values(mine, name), **thin)
    axis.plot(values(middle, x, unit), values(middle, name), **thick)
    if name == "goals_for_per_minute":
        dotted = {**thick, "linestyle": ":", "marker": None, "label": None}
        axis.plot(values(middle, x, unit), values(middle, "goals_against_per_minute"), **dotted)
    if interval is not None and rows[0].opponent == "random":  # several intervals would hide each other
        low, high = values(middle, f"{interval}_low"), values(middle, f"{interval}_high")
        axis.fill_between(values(middle, x, unit), low, high, color=style["color"], alpha=0.15, linewidth=0)


def _dress(axes: Any) -> None:
    for axis_row, (*_, label) in zip(axes, _AXES, strict=True):
        for axis, (_, name, _) in zip(axis_row, _PANELS, strict=True):
            axis.set_xlabel(label)
            axis.set_xlim(left=0)
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
            if name == "goal_difference":
                axis.axhline(0, color="black", linewidth=0.8)
            elif name == "win_rate":
                axis.set_ylim(0, 1)
            else:
                axis.set_ylim(bottom=0)
    for axis, (title, *_) in zip(axes[0], _PANELS, strict=True):
        axis.set_title(title)
