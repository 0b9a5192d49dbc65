"""Runs trainings in parallel, each a process of `python -m rlbot.train` with its own run directory."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rlbot.run import Console
from rlbot.settings.errors import CommandFailed
from rlbot.settings.schema import TrainConfig

_REPORT_INTERVAL = 10.0  # s between two lines of progress
_TIME_TO_SAVE = 20.0  # s in which a stopped training has to finish its iteration and save


def share(config: TrainConfig, cores: int) -> list[str]:
    """Arguments with which a training uses `cores` cores, unless its settings already say how many, and keeps every
    checkpoint. With one core, a single process that plays and learns in turns is fastest."""
    workers = 0 if cores == 1 and not config.learner.overlap else cores
    return [
        *([f"env.workers={workers}"] if config.env.workers is None else []),
        *([f"hardware.threads={cores}"] if config.hardware.threads is None else []),
        "rating.enabled=false",
        f"keep_best={config.total_timesteps // config.checkpoint_interval + 1}",
    ]


def train(seeds: Sequence[int], arguments: Sequence[str], directory: Path, parallel: int, console: Console) -> None:
    """Trains every seed in directory/seed_N, `parallel` of them at the same time; their output goes to seed_N.log.
    Raises CommandFailed if a training fails. The other trainings are then stopped, as by Ctrl-C."""
    waiting = list(seeds)
    running: dict[int, subprocess.Popen[bytes]] = {}
    last_report = time.monotonic()
    with _ending(running):
        while waiting or running:
            while waiting and len(running) < parallel:
                seed = waiting.pop(0)
                running[seed] = _start(seed, arguments, directory)
            time.sleep(0.2)
            if time.monotonic() - last_report > _REPORT_INTERVAL:
                last_report = time.monotonic()
                for seed in running:
                    if line := progress(_log(directory, seed)):
                        console.ok(f"seed {seed}: {line}")
            for seed in [seed for seed, process in running.items() if process.poll() is not None]:
                status = running.pop(seed).returncode
                if status:
                    raise CommandFailed(*_failure(seed, status, _log(directory, seed)))
                console.ok(f"seed {seed}: trained")


def progress(log: Path) -> str | None:
    """Returns the last line about progress in a training's log, or None."""
    lines = re.findall(r"\[OK\] Timestep: (\d+/\d+ .* left.*)", _tail(log))
    return lines[-1] if lines else None


def _start(seed: int, arguments: Sequence[str], directory: Path) -> "subprocess.Popen[bytes]":
    home = str(directory / f"seed_{seed}").replace("\\", "/").replace("'", "\\'")
    # It ends with this process even if this process is killed.
    python = [sys.executable, "-m", "rlbot.processes.child", "rlbot.train"]
    command = [*python, *arguments, f"seed={seed}", f"hydra.run.dir='{home}'"]
    with _log(directory, seed).open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)


def _log(directory: Path, seed: int) -> Path:
    return directory / f"seed_{seed}.log"


def _failure(seed: int, status: int, log: Path) -> Iterator[str]:
    errors = re.findall(r"^\[ERROR\] (.*?)\r?$", _tail(log), re.MULTILINE)
    yield f"seed {seed}: its training ended with status {status}" + (f": {errors[-1]}" if errors else "")
    yield f"its output: {log}"


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - 10_000, 0))
        return file.read().decode("utf-8", "replace")


@contextlib.contextmanager
def _ending(running: dict[int, "subprocess.Popen[bytes]"]) -> Iterator[None]:
    """Stops all running trainings at the end of the block, however it ends (also by SIGTERM)."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
        _end(running.values())


def _end(processes: Iterable["subprocess.Popen[bytes]"]) -> None:
    try:
        for process in processes:
            process.terminate()  # on POSIX it saves a checkpoint first; on Windows it ends at once
        deadline = time.monotonic() + _TIME_TO_SAVE
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))
    finally:  # also after a second Ctrl-C
        for process in processes:
            process.kill()
            process.wait()
