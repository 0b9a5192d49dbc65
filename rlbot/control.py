"""`python -m rlbot.control run=latest COMMAND`: saves, stops, pauses or resumes a run that trains, or changes its
settings. It writes a file into the run's directory and waits for the answer; no network is used.

    python -m rlbot.control run=latest save
    python -m rlbot.control run=outputs/2026-11-22/10-05-02-737254 set learner.learning_rate=2e-4 reward.terms.goal=5
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rlbot.processes.text import printable
from rlbot.run.control import ask
from rlbot.run.directory import LATEST, find_directory
from rlbot.run.lock import NAME, is_locked

COMMANDS = ("save", "stop", "pause", "resume", "set")
USAGE = "python -m rlbot.control run=latest save|stop|pause|resume|set NAME=VALUE ..."
_TIMEOUT = 120.0  # s
_SWEEPS = Path("multirun")  # the default folder of sweeps, by date and time


def main(arguments: Sequence[str]) -> int:
    """Runs the command, and prints the answer. Returns the exit status: 0 if it was done, otherwise 1."""
    try:
        run, command, settings, timeout = _parsed(arguments)
        directory = find_training(run)
        ok, text = ask(directory, command, settings, timeout)
    except (ValueError, OSError) as error:
        ok, text = False, str(error)
        if text.startswith("no training") and "run=latest" in arguments:
            text += "; a new run is latest from its first checkpoint on: name its directory"
    for line in text.splitlines():
        print(printable(f"{'[OK]' if ok else '[ERROR]'} {line}"), file=sys.stdout if ok else sys.stderr)
    return 0 if ok else 1


def find_training(run: str) -> Path:
    """Returns the directory of the training that `run` means: that of a run, or of a sweep of which one job trains;
    "latest" is the newest sweep if no training runs in outputs/latest. Raises ValueError if there is no such directory,
    or several jobs train."""
    sweep = max(_SWEEPS.glob("*/*"), default=None) if run == LATEST else None
    try:
        named = find_directory(run)
    except ValueError:
        if sweep is None:
            raise
        named = sweep.resolve()
    if is_locked(named):
        return named
    for folder in (named, named if sweep is None else sweep.resolve()):
        jobs = [lock.parent for lock in sorted(folder.glob(f"*/{NAME}")) if is_locked(lock.parent)]
        if len(jobs) > 1:
            raise ValueError(f"run={run}: jobs {', '.join(job.name for job in jobs)} train; name one: run={jobs[0]}")
        if jobs:
            return jobs[0]
    return named


def _parsed(arguments: Sequence[str]) -> tuple[str, str, dict[str, Any], float]:
    """Returns the run, the command, the settings to set, and the seconds to wait. Raises ValueError."""
    named = dict(text.split("=", 1) for text in arguments if re.match(r"(run|timeout)=", text))
    words = [text for text in arguments if not re.match(r"(run|timeout)=", text)]
    command = words[0] if words else ""
    if "run" not in named or command not in COMMANDS or (len(words) > 1) != (command == "set"):
        raise ValueError(f"{' '.join(arguments)}: the form is {USAGE}".strip(": "))
    timeout = named.get("timeout", str(_TIMEOUT))
    if not re.fullmatch(r"\d+(\.\d+)?", timeout):
        raise ValueError(f"timeout={timeout}: must be a number of seconds")
    return named["run"], command, dict(_settings(words[1:])), float(timeout)


def _settings(overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for text in overrides:
        try:
            parsed = OverridesParser.create().parse_override(text)
            if parsed.is_delete() or parsed.is_sweep_override():
                raise ValueError(f"{text}: must be NAME=VALUE, with one value")
            yield parsed.get_key_element().lstrip("+"), parsed.value()
        except HydraException as error:
            raise ValueError(f"{text}: must be NAME=VALUE ({str(error).splitlines()[0]})") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
