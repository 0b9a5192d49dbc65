"""Runs whose disk fills up, turns read-only or is emptied under them: they say so, train on, and save when they can."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlbot.run import valid_checkpoints
from tests.launching import LONG, Launch, curves

SETTINGS = [
    "experiment=debug", LONG, "seed=5", "env.workers=0", "hardware.threads=1", "curriculum.pool_size=4",
    "hydra.run.dir=disk/run", "log_interval=0",
]  # fmt: skip


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux") or not mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)):
        pytest.skip("needs Linux and the right to mount a small disk (root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    with open(disk / "filler", "ab", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def newest(folder: Path) -> int:
    found, warnings = valid_checkpoints(folder / "checkpoints")
    assert warnings == []
    return int(found[0].name.removeprefix("step_"))


@pytest.mark.slow
def test_a_run_outlives_a_full_disk_and_one_that_is_read_only(launch: Launch, tmp_path: Path, disk: Path) -> None:
    run = launch(*SETTINGS)
    run.says("Checkpoint saved")
    fill(disk)
    before = newest(disk / "run")
    run.says("[ERROR] No checkpoint at ")
    run.says("[ERROR] No checkpoint at ", again=True)  # it trains on, and tries again
    assert "No space left on device" in run.having("[ERROR] No checkpoint at ")[0]
    assert newest(disk / "run") == before, "what was there is still there"
    assert run.having("[WARN] TensorBoard curves cannot be written")
    (disk / "filler").unlink()
    run.says("Checkpoint saved", again=True)
    assert newest(disk / "run") > before

    checkpoints = str(disk / "run" / "checkpoints")
    assert mount("-t", "tmpfs", "-o", "ro", "tmpfs", checkpoints)
    run.says("Read-only file system; tried again at the next one")
    subprocess.run(["umount", checkpoints], check=True)
    run.says("Checkpoint saved", again=True)
    run.signal(signal.SIGTERM)
    assert run.status() == 0 and run.having("Traceback") == []
    end = newest(disk / "run")
    assert run.having(f"[OK] Checkpoint saved at {end} timesteps") and run.having(f"[OK] Stopped at {end} timesteps")
    steps = [step for step, _ in curves(disk / "run")["reward/step"]]
    played = [int(line.split()[2].split("/")[0]) for line in run.having("] Timestep: ")]
    assert steps == played, "no point of the curves is lost"


@pytest.mark.slow
def test_a_run_whose_end_is_not_saved_says_so_and_fails(launch: Launch, tmp_path: Path, disk: Path) -> None:
    run = launch(*SETTINGS)
    run.says("Checkpoint saved")
    fill(disk)
    run.says("[ERROR] No checkpoint at ")
    run.signal(signal.SIGTERM)
    assert run.status() == 1 and run.having("Traceback") == []
    assert "[ERROR] The end of this run, at " in run.lines[-2] and " is not saved in " in run.lines[-2]
    assert run.lines[-1].startswith(f"[ERROR] when it can be written, resume={disk / 'run'} continues from")
    (disk / "filler").unlink()
    before = newest(disk / "run")
    run = launch(f"resume={disk / 'run'}", f"total_timesteps={before + 100}")
    assert run.status() == 0 and run.having(f"[OK] Resumed at {before} timesteps")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no file that is open, and has no SIGTERM")
def test_a_run_whose_directory_is_deleted_makes_it_again(launch: Launch, tmp_path: Path) -> None:
    run = launch(*SETTINGS, "rating.enabled=false", "checkpoint_interval=1000")
    run.says("Checkpoint saved")
    home = tmp_path / "disk" / "run"
    home.rename(tmp_path / "gone")  # at once, unlike rmtree beside somebody who writes
    run.says("was deleted during the run: made again")
    run.says("Checkpoint saved", again=True)
    (home / "checkpoints").rename(tmp_path / "gone too")
    (home / "checkpoints").write_text("in the way")
    run.says("[ERROR] No checkpoint at ")
    os.unlink(home / "checkpoints")
    run.says("Checkpoint saved", again=True)
    run.signal(signal.SIGTERM)
    assert run.status() == 0 and run.having("Traceback") == []
    end = newest(home)
    assert run.having(f"[OK] Stopped at {end} timesteps")
    assert {path.name for path in home.iterdir()} >= {"checkpoints", "run.json", "tensorboard", "train.log"}
    assert curves(home)["reward/step"][-1][0] == end
