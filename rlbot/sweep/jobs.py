"""Read the jobs of a sweep from its directory. This works the same for all launchers and machines."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlbot.run import RESULT

FAILURES = "failures.jsonl"  # in the sweep's directory; every process appends a line for a failed job


@dataclass(frozen=True)
class SweepJob:
    number: int
    overrides: tuple[str, ...]
    status: str  # finished, failed, or stopped (by Ctrl-C, by a time limit, or still running)
    directory: Path | None = None  # None: it was removed, as nothing was trained
    result: dict[str, Any] = field(default_factory=dict)  # content of the run's result.json
    error: str = ""

    @property
    def value(self) -> float | None:
        """Value of the objective, or None."""
        value = self.result.get("value")
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

    @property
    def settings(self) -> dict[str, str]:
        """{name: value} of its command line."""
        pairs = (override.lstrip("+~").partition("=") for override in self.overrides)
        return {name: value for name, _, value in pairs}


def collect(root: Path) -> list[SweepJob]:
    """All jobs of the sweep in `root`, ordered by number. Raises OSError if a file cannot be read."""
    jobs = {job.number: job for job in map(_read, root.glob("**/.hydra/hydra.yaml"))}
    for failure in failures(root):
        number = int(failure["job"])
        directory = jobs[number].directory if number in jobs else None
        jobs[number] = SweepJob(number, tuple(failure["overrides"]), "failed", directory, error=failure["error"])
    return [jobs[number] for number in sorted(jobs)]


def failures(root: Path) -> list[dict[str, Any]]:
    """The entries of failed jobs, ordered by number."""
    path = root / FAILURES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sorted(map(json.loads, lines), key=lambda failure: int(failure["job"]))


def _read(settings: Path) -> SweepJob:
    hydra = OmegaConf.load(settings).hydra
    directory = settings.parents[1]
    number, overrides = int(hydra.job.num), tuple(map(str, hydra.overrides.task))
    try:
        result = json.loads((directory / RESULT).read_bytes())
        return SweepJob(number, overrides, result["status"], directory, result)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return SweepJob(number, overrides, "stopped", directory)
