"""The results as a table, a JSON file and a picture."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rlbot.bench.measure import SHORT, Row

_COLORS = {
    "raw": "#555555",
    "env": "#0072b2",
    "collect": "#009e73",
    "opponents": "#f0e442",
    "train": "#d55e00",
    "learn": "#e69f00",
    "products": "#999999",
    "rlgym": "#cc79a7",
    "rlgym_learn": "#56b4e9",
}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The table as lines of ASCII; "of v2" is the ratio to bare RocketSim v2."""
    yield (
        f"{'':11} {'engine':6} {'teams':5} {'arenas':>6} {'cores':>5} {'workers':>7} {'steps/s':>9} {'of v2':>6} "
        f"{'spread':>6} {'GPU':>4} {'main MB':>7} {'worker MB':>9}"
    )
    for row in rows:
        main = "-" if row.main_mb is None else f"{row.main_mb:.0f}"
        load = "-" if row.gpu_load is None else f"{row.gpu_load:.0f}%"
        worker = f"{max(row.worker_mb):.0f}" if row.worker_mb else "-"
        yield (
            f"{row.name:11} {SHORT[row.engine]:6} {row.team_size:5} {row.num_envs:6d} {row.cores:5d} {row.workers:7d} "
            f"{row.agent_steps_per_s:9.0f} {row.ratio_to_raw:6.2f} {row.spread:6.1%} {load:>4} {main:>7} {worker:>9}"
        )


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write a list with an object for each row."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def write_result(rows: Sequence[Row], path: Path) -> float:
    """Write result.json, which a sweep compares, from the rows of one case; returns timesteps a second of training."""
    rates: dict[str, float] = {}
    for row in rows:  # the engine that trains comes first
        rates.setdefault(row.name, row.agent_steps_per_s)
    result = {
        "status": "finished",
        "objective": "train",
        "value": rates["train"],
        "command": "bench",
        **{name: rates[name] for name in ("raw", "collect", "learn", "products")},
        "gpu_load": next(row.gpu_load for row in rows if row.name == "train"),
    }
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return rates["train"]


def _thousands(number: float, _: object) -> str:
    """Label of a tick: only 1, 2, 3 and 5 times a power of ten have one."""
    return f"{number / 1000:g}k" if f"{number:.0f}"[0] in "1235" else ""


def draw(rows: Sequence[Row], team_size: str, num_envs: int, workers: int, path: Path) -> None:
    """Write a PNG of throughput against the number of arenas (with `workers` workers) and against the number of workers
    (with `num_envs` arenas; 0: everything on one core). Lines of RocketSim v2 are dashed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    mine = [row for row in rows if row.team_size == team_size]
    by_arenas = [row for row in mine if row.workers == workers]
    by_workers = [row for row in mine if row.num_envs == num_envs]
    panels = (
        ("num_envs", f"arenas ({workers} workers)", by_arenas),
        ("workers", f"workers ({num_envs} arenas; 0 = all on one core)", by_workers),
    )
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (key, label, shown) in zip(axes, panels, strict=True):
        points = sorted({getattr(row, key) for row in shown})
        places = {x: place for place, x in enumerate(points)}
        for name, engine in dict.fromkeys((row.name, row.engine) for row in shown):
            these = [row for row in shown if (row.name, row.engine) == (name, engine)]
            line = sorted((places[getattr(row, key)], row) for row in these)
            middle = [row.agent_steps_per_s for _, row in line]
            low = [row.agent_steps_per_s - min(row.rates) for _, row in line]
            high = [max(row.rates) - row.agent_steps_per_s for _, row in line]
            axis.errorbar(
                [x for x, _ in line], middle, (low, high),
                label=f"{name} {SHORT[engine]}", color=_COLORS[name], marker="o", markersize=4, capsize=3,
                linestyle="--" if engine == "rocketsim2" else "-",
            )  # fmt: skip
        axis.set_xticks(range(len(points)), [str(x) for x in points])
        axis.set_xlabel(label)
        axis.set_yscale("log")
        axis.grid(True, which="both", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("agent steps a second")
    axes[0].yaxis.set_major_formatter(_thousands)
    axes[0].yaxis.set_minor_formatter(_thousands)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.suptitle(f"Throughput, {team_size}: median of the rounds, bars from slowest to fastest")
    figure.savefig(path, dpi=120)
