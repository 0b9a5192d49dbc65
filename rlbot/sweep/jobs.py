"""The jobs of a sweep, read from its directory: the same whichever launcher ran them, on whichever machine."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlbot.run import RESULT

FAILURES = "failures.jsonl"  # in the directory of a sweep: a line for each failed job, from any process


@dataclass(frozen=True)
class Job:
    number: int
    overrides: tuple[str, ...]
    status: str  # finished; stopped: by Ctrl-C, a time limit, or it is still running; failed
    directory: Path | None = None  # None: taken away, nothing was trained
    result: dict[str, Any] = field(default_factory=dict)  # what a run leaves in result.json
    error: str = ""

    @property
    def value(self) -> float | None:
        """Of the objective."""
        value = self.result.get("value")
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

    @property
    def settings(self) -> dict[str, str]:
        """The values of its command line, by name."""
        pairs = (override.lstrip("+~").partition("=") for override in self.overrides)
        return {name: value for name, _, value in pairs}


def collect(root: Path) -> list[Job]:
    """All jobs of the sweep in `root`, by number. Raises OSError."""
    jobs = {job.number: job for job in map(_read, root.glob("**/.hydra/hydra.yaml"))}
    for failure in failures(root):
        number = int(failure["job"])
        directory = jobs[number].directory if number in jobs else None
        jobs[number] = Job(number, tuple(failure["overrides"]), "failed", directory, error=failure["error"])
    return [jobs[number] for number in sorted(jobs)]


def failures(root: Path) -> list[dict[str, Any]]:
    """What was noted of the failed jobs, in their order."""
    path = root / FAILURES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sorted(map(json.loads, lines), key=lambda failure: int(failure["job"]))


def _read(settings: Path) -> Job:
    hydra = OmegaConf.load(settings).hydra
    directory = settings.parents[1]
    number, overrides = int(hydra.job.num), tuple(map(str, hydra.overrides.task))
    try:
        result = json.loads((directory / RESULT).read_bytes())
        return Job(number, overrides, result["status"], directory, result)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Job(number, overrides, "stopped", directory)
