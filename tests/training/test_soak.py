"""A long run: memory and handles stay what they are, and its curves can be read all the while."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.launching import LONG, Launch, curves

SECONDS = float(os.environ.get("RLBOT_SOAK_SECONDS", "1200"))
STAGES, STAGE = 80, 20_000  # so many, each of so many timesteps: workers come and go, as do arenas and opponents
TEAMS = ("1v1", "1v2", "2v2")
OPPONENTS = ("self", "{past: 0.7, self: 0.3}", "{random: 0.3, past: 0.7}", "idle")


def stages() -> str:
    each = (
        f"s{i}: {{until: {(i + 1) * STAGE if i < STAGES - 1 else 'null'}, teams: {{{TEAMS[i % 3]}: 1}}, "
        f"opponent: {OPPONENTS[i % 4]}, reward: {{}}, reset: {{}}}}"
        for i in range(STAGES)
    )
    return f"+curriculum.stages={{{','.join(each)}}}"


def sample(main: psutil.Process) -> dict[str, float]:
    """Of the whole run; memory in MB."""
    found: dict[str, float] = {"main": 0.0, "others": 0.0, "processes": 0, "handles": 0, "threads": 0}
    for process in [main, *main.children(recursive=True)]:
        try:
            memory = process.memory_info().rss / 2**20
            handles = process.num_handles() if sys.platform == "win32" else process.num_fds()
            threads = process.num_threads()
        except psutil.Error:  # it ended just now
            continue
        found["main" if process == main else "others"] += memory
        found["processes"] += 1
        found["handles"] += handles
        found["threads"] += threads
    return found


def growth(rows: list[dict[str, Any]], name: str) -> float:
    """From the third quarter of the time to the last, as a share."""
    values = np.array([row[name] for row in rows])
    third, last = np.array_split(values, 4)[2:]
    return float(np.median(last) / np.median(third) - 1)


@pytest.mark.slow
def test_a_long_run_takes_no_more_memory_and_handles_as_it_goes(launch: Launch, tmp_path: Path) -> None:
    run = launch("experiment=debug", LONG, "~curriculum.stages", stages(),
        "env.num_envs=8", "env.workers=2", "learner.batch_size=2_048",
        "learner.minibatch_size=512", "checkpoint_interval=10_000", "curriculum.pool_size=8", "hardware.threads=1",
        "hydra.run.dir=run",
    )  # fmt: skip
    main, rows, seen = psutil.Process(run.process.pid), [], 0
    run.says("Checkpoint saved")
    began = time.monotonic()
    while time.monotonic() - began < SECONDS:
        time.sleep(min(10.0, SECONDS / 40))
        assert run.process.poll() is None, run.lines[-20:]
        rows.append({"seconds": round(time.monotonic() - began, 1), **sample(main)})
        points = len(curves(tmp_path / "run")["reward/step"])
        assert points >= seen, "the curves can be read while they are written"
        seen = points
        (tmp_path / "samples.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    run.signal(signal.SIGTERM)
    run.process.wait(300)
    told = {name: [round(rows[i][name], 1) for i in range(0, len(rows), max(len(rows) // 8, 1))] for name in rows[0]}
    print(f"{len(run.having('[START] Stage'))} stages, {len(run.having('Checkpoint saved'))} checkpoints, "
          f"{len(run.having('Rating of'))} ratings; {told}; "
          f"growth { {name: round(growth(rows, name), 4) for name in rows[0]} }")  # fmt: skip
    assert run.having("[WARN]") == run.having("[ERROR]") == run.having("Traceback") == []
    assert growth(rows, "main") < 0.02 and growth(rows, "others") < 0.05
    assert growth(rows, "handles") < 0.05 and growth(rows, "processes") <= 0 and growth(rows, "threads") <= 0
