"""Whole runs that are killed again and again, also in the middle of a save, and always go on."""

import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from rlbot.run import valid_checkpoints
from tests.launching import LONG, Launch, Training, curves

INTERVAL, BATCH = 512, 256
SETTINGS = [
    "experiment=debug", LONG, "seed=5", f"checkpoint_interval={INTERVAL}", f"learner.batch_size={BATCH}",
    "env.workers=1", "hardware.threads=1", "learner.anneal_learning_rate=false", "curriculum.pool_size=4",
    "hydra.run.dir=run", "log_interval=0",
]  # fmt: skip
ITERATION = BATCH + 8  # timesteps, at most: a step of 8 cars may go beyond the batch


def temporaries(folder: Path) -> set[str]:
    """Saves that are being written, or were when the process was killed."""
    return {path.name for path in (folder / "run" / "checkpoints").glob(".writing-*")}


def kill_in_a_save(run: Training, folder: Path) -> bool:
    """Whether the kill came before the save was done."""
    run.says("Checkpoint saved")  # the first is a chance to leave the state of the run before
    before = temporaries(folder)
    run.until(lambda: temporaries(folder) - before, "a save", pause=0.001)
    run.kill()
    return bool(temporaries(folder) - before)


def kill_at_random(run: Training, chance: random.Random) -> bool:
    if chance.random() < 0.3:
        time.sleep(chance.uniform(0, 6))  # mostly before it trains
    else:
        run.says("Training from")
        time.sleep(chance.uniform(0, 3))
    run.kill()
    return False


def check(run: Training, folder: Path) -> int:
    """What a kill may cost. Returns the timesteps of the checkpoint to go on from."""
    found, warnings = valid_checkpoints(folder / "run" / "checkpoints")
    assert warnings == []
    newest = int(found[0].name.removeprefix("step_"))
    announced = [int(step) for line in run.lines for step in re.findall(r"Checkpoint saved at (\d+)", line)]
    played = [int(step) for line in run.lines for step in re.findall(r"\] Timestep: (\d+)/", line)]
    assert newest >= max(announced, default=0), run.lines[-20:]
    assert max(played, default=0) - newest <= INTERVAL + ITERATION
    assert run.having("[WARN]") == run.having("[ERROR]") == []
    orphaned = [line for line in run.lines if re.match(r"\w+Error", line)]  # of a process that had only begun to start
    assert all(line.startswith(("EOFError", "BrokenPipeError", "ConnectionResetError")) for line in orphaned), run.lines
    shared = Path("/dev/shm")
    assert not list(shared.glob(f"*{run.process.pid}*")) if shared.is_dir() else True
    return newest


@pytest.mark.skipif(sys.platform == "win32", reason="has no sessions to find orphans by")
@pytest.mark.parametrize(
    "kills", [pytest.param(2, id="2 kills"), pytest.param(50, id="50 kills", marks=pytest.mark.slow)]
)
def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(launch: Launch, tmp_path: Path, kills: int) -> None:
    chance, newest, hits = random.Random(1), 0, 0
    for number in range(kills):
        run = launch(*(["resume=run"] if number else SETTINGS))
        hits += kill_in_a_save(run, tmp_path) if number % 2 == 0 else kill_at_random(run, chance)
        resumed = [int(step) for line in run.lines for step in re.findall(r"Resumed at (\d+) timesteps", line)]
        assert resumed in ([newest], [])  # [] where it was killed before
        assert check(run, tmp_path) >= newest
        newest = check(run, tmp_path)
    assert hits >= kills // 4, "too few kills came in the middle of a save"

    last = launch("resume=run", "rating.enabled=false")
    last.says(f"Resumed at {newest} timesteps")
    last.says("] Timestep: ")
    second = launch("resume=run")  # what a kill leaves is no lock; what trains is one
    assert second.status() == 1 and len(second.lines) == 2, second.lines
    assert "another process is training in it" in second.lines[0]
    last.signal(signal.SIGTERM)
    assert last.status() == 0 and last.having("[WARN]") == last.having("[ERROR]") == []
    (total,) = [int(line.split()[3]) for line in last.having("[OK] Stopped at ")]
    steps = [step for step, _ in curves(tmp_path / "run")["reward/step"]]
    assert steps == sorted(set(steps)) and steps[-1] == total >= newest + BATCH
    gaps = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    assert max(gaps) <= ITERATION, "no point is missing, and none is there twice"
    names = {path.name for path in (tmp_path / "run").iterdir()}
    files = {"ratings.json", "result.json", "run.json", "train.log", ".lock"}
    assert names <= {".hydra", "checkpoints", "recordings", "tensorboard", *files}
    assert temporaries(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_a_time_limit_saves_and_ends_with_an_exit_status_of_zero(launch: Launch, tmp_path: Path) -> None:
    run = launch(*SETTINGS, "hardware.time_limit=0.1")
    assert run.status() == 0
    (saved,) = re.findall(r"Stopped at (\d+) timesteps", "\n".join(run.lines))
    assert int(saved) >= BATCH and run.having(f"Checkpoint saved at {saved} timesteps")
    assert run.having("[OK] Time limit: 0.1 minutes") and run.having("[OK] hardware.time_limit=0.1 minutes are over")
    assert f"[OK] Resume with: python -m rlbot.train resume={tmp_path / 'run'}" in run.lines
    run = launch("resume=run", "hardware.time_limit=1e-6")  # less than a start takes
    assert run.status() == 0
    stopped = re.findall(r"Stopped at (\d+) timesteps", "\n".join(run.lines))
    assert BATCH <= int(stopped[0]) - int(saved) <= ITERATION, "one iteration in any case"
    run = launch("resume=run", "hardware.time_limit=null")
    run.says("] Timestep: ")
    run.signal(signal.SIGTERM)
    assert run.status() == 0 and not run.having("hardware.time_limit=")
