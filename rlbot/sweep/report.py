"""The report at the end of a sweep: jobs from best to worst, which settings mattered, how to repeat the best."""

import csv
import math
import os
import shlex
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlbot.sweep.jobs import SweepJob, collect
from rlbot.sweep.plot import draw
from rlbot.sweep.values import number, shown

TABLE, PLOT = "sweep.csv", "sweep.png"
_KNOWN = ("status", "objective", "value", "command")  # keys of result.json that are not measurements
_ROWS = 20  # of the table in the console
_FEW = 5  # with fewer jobs, nothing is said about what mattered


def report(root: Path) -> list[str]:
    """Write sweep.csv and sweep.png into `root`; returns the report as lines of text, none if no job has a result.

    Raises OSError if a file cannot be read or written.
    """
    jobs = sorted(collect(root), key=lambda job: (job.status != "finished", -_or(job.value, -math.inf), job.number))
    if not any(job.result for job in jobs):
        return []
    objective = next(str(job.result["objective"]) for job in jobs if job.result)
    swept = swept_settings(jobs)
    _write(jobs, swept, root / TABLE)
    written = [root / TABLE]
    finished = [job for job in jobs if job.status == "finished" and job.value is not None]
    if swept and len(finished) > 1:
        columns = [(short, [job.settings.get(name, "") for job in finished]) for name, short in swept.items()]
        draw(columns, objective, [_or(job.value, math.nan) for job in finished], root / PLOT)
        written.append(root / PLOT)
    counts = Counter(job.status for job in jobs)
    told = ", ".join(f"{counts[status]} {status}" for status in ("finished", "stopped", "failed") if counts[status])
    lines = [f"[OK] Jobs of the sweep: {told}; highest {objective} first", *table(jobs, swept, objective)]
    lines += what_mattered(finished, swept, objective)
    if finished:
        lines.append(
            f"[OK] Best: job {finished[0].number}, {objective} {shown(finished[0].value)}, in {finished[0].directory}"
        )
        command = finished[0].result.get("command", "train")
        lines.append(f"[OK] To repeat it: python -m rlbot.{command} {_command_line(finished[0].overrides)}")
    return [*lines, f"[OK] Written: {', '.join(map(str, written))}"]


def swept_settings(jobs: Sequence[SweepJob]) -> dict[str, str]:
    """{name: short name} of the settings in which the jobs differ."""
    names = list(dict.fromkeys(name for job in jobs for name in job.settings))
    differing = [name for name in names if len({job.settings.get(name) for job in jobs}) > 1]
    last = Counter(name.rpartition(".")[2] for name in differing)
    return {name: short if last[short := name.rpartition(".")[2]] == 1 else name for name in differing}


def measured(jobs: Sequence[SweepJob]) -> list[str]:
    """The names of all measurements in the results of the jobs."""
    names = dict.fromkeys(name for job in jobs for name, value in job.result.items() if value is not None)
    return [name for name in names if name not in _KNOWN]


def table(jobs: Sequence[SweepJob], swept: dict[str, str], objective: str) -> list[str]:
    """The table as lines of text; only the best rows if there are many jobs."""
    others = [name for name in measured(jobs) if name != objective]
    rows = [["job", "status", objective, *swept.values(), *others]]
    for job in jobs[:_ROWS]:
        settings = [shown(job.settings.get(name)) for name in swept]
        results = [shown(job.result.get(name)) for name in others]
        rows.append([str(job.number), job.status, shown(job.value), *settings, *results])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  " + "  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    return lines if len(jobs) <= _ROWS else [*lines, f"  and {len(jobs) - _ROWS} more in {TABLE}"]


def what_mattered(jobs: Sequence[SweepJob], swept: dict[str, str], objective: str) -> list[str]:
    """Lines of text: for each numeric setting its rank correlation (Spearman, 1904) with the objective, for others the
    mean objective of each value.

    Every job of `jobs` has a value. This is no proof of a cause: a search tries some values more often than others.
    """
    if not swept or len(jobs) < _FEW:
        return []
    values = [_or(job.value, math.nan) for job in jobs]
    chance = min(1.96 / math.sqrt(len(jobs) - 1), 1.0)  # 95% of the correlations of unrelated numbers are below
    lines = [
        f"[OK] What went with {objective} in {len(jobs)} jobs; by chance alone rank correlations reach +-{chance:.2f}"
    ]
    width = max(map(len, swept.values()))
    for name, short in swept.items():
        texts = [job.settings.get(name, "") for job in jobs]
        numbers = [number(text) for text in texts]
        if None not in numbers:
            told = f"{spearman([_or(x, math.nan) for x in numbers], values):+.2f}"
        else:
            groups = {
                text: [v for t, v in zip(texts, values, strict=True) if t == text] for text in dict.fromkeys(texts)
            }
            means = sorted(((sum(each) / len(each), text) for text, each in groups.items()), reverse=True)
            told = ", ".join(f"{shown(text)} {shown(mean)} (mean of {len(groups[text])})" for mean, text in means)
        lines.append(f"  {short:{width}}  {told}")
    return lines


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation; equal values share the mean rank. 0 if one of the two does not vary."""
    ranks = []
    for values in (first, second):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[places])
    if any(np.ptp(each) == 0 for each in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _write(jobs: Sequence[SweepJob], swept: dict[str, str], path: Path) -> None:
    metrics = measured(jobs)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job", "status", "objective", "value", *metrics, *swept, "directory", "error"])
        for job in jobs:
            results = [job.result.get(name) for name in ("objective", "value", *metrics)]
            settings = [job.settings.get(name) for name in swept]
            writer.writerow([job.number, job.status, *results, *settings, job.directory, job.error])


def _command_line(overrides: Sequence[str]) -> str:
    return subprocess.list2cmdline(overrides) if os.name == "nt" else shlex.join(overrides)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
