"""`torchrun -m rlbot.train hardware=distributed` for real: trains as one process; lost and stopped processes."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import rlbot
from rlbot.collect import Collector
from rlbot.run import load_checkpoint
from rlbot.settings import command
from rlbot.training import loop
from rlbot.training.build import build
from rlbot.training.nan_guard import NanGuard
from rlbot.training.report import Silent

ROOT = Path(rlbot.__file__).parents[1]
# Three stages: two learning cars for each process, then one and two, then four for each.
SETTINGS = [
    "experiment=debug",
    "total_timesteps=600",
    "checkpoint_interval=300",
    "rating.enabled=false",
    "hardware.precision=fp32",
    "curriculum.stages.duel.until={speed: 100000, timesteps: 300}",  # never so fast, but all ranks ask rank 0
]
LONG = [
    "experiment=debug",
    "log_interval=0",
    "total_timesteps=3000",
    "checkpoint_interval=500",
    "env.workers=1",
    "rating.matches=1",
]


def start(folder: Path, *command: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def torchrun(folder: Path, *arguments: str, restarts: int = 0) -> "subprocess.Popen[str]":
    launcher = ["torch.distributed.run", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    return start(folder, *launcher, "-m", "rlbot.train", "hardware=distributed", "hydra.run.dir=run", *arguments)


def finish(process: "subprocess.Popen[str]", seen: str = "") -> tuple[int, str]:
    out, _ = process.communicate(timeout=300)
    return process.returncode, seen + out


def until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            break
    return seen


def ranks(launcher: "subprocess.Popen[str]") -> dict[int, psutil.Process]:
    children = psutil.Process(launcher.pid).children()
    return {int(each.environ()["RANK"]): each for each in children if "RANK" in each.environ()}


def everything(launcher: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(launcher.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(each.is_running() for each in processes):
        time.sleep(0.2)
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").glob("step_*"))


def numbers(tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    return {f"{group}/{name}": np.asarray(each) for group, named in tensors.items() for name, each in named.items()}


def alone(*overrides: str) -> list[tuple[str, dict[str, np.ndarray]]]:
    """What a run in this process has at each of its checkpoints: their names, weights and arenas."""
    config = command.compose([*overrides, "hardware=cpu", "env.workers=0"])
    components, found = build(config, print), []

    def save(progress: loop.Progress, collector: Collector) -> None:
        tensors = {"model": components.model.state_dict(), "environment": collector.snapshot()[0]}
        found.append((f"step_{progress.timesteps:09d}", copy.deepcopy(numbers(tensors))))

    loop.train(
        ppo=components.ppo,
        pool=components.pool,
        stages=components.stages,
        make_collector=components.make_collector,
        publish=components.publish,
        schedule=loop.Schedule(config.total_timesteps, config.checkpoint_interval, config.learner.learning_rate, True),
        start=(loop.Progress(), None),
        reporter=Silent(),
        save=save,
        orders=lambda progress: loop.Orders(),
        nan_guard=NanGuard(None, 1, print),
    )
    return found


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    launcher = torchrun(tmp_path, *SETTINGS, "env.workers=0")
    expected = alone(*SETTINGS)
    status, out = finish(launcher)
    assert status == 0 and out.count("Training finished") == 1 and "in 2 processes" in out, out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert checkpoints(tmp_path / "run") == [name for name, _ in expected] and len(expected) == 2
    for name, arrays in expected:
        mine = numbers(load_checkpoint(tmp_path / "run" / "checkpoints" / name)[0])
        for key, each in arrays.items():
            np.testing.assert_allclose(mine[key], each, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize(
    ("environment", "arguments", "line"),
    [
        ({}, ["hardware=distributed"], "[ERROR] hardware.distributed=true: needs several processes"),
        ({"WORLD_SIZE": "2"}, ["hardware=cpu"], "[ERROR] hardware.distributed=false: torchrun started 2 processes"),
        ({"WORLD_SIZE": "2"}, ["-m", "seed=1,2"], "[ERROR] --multirun: torchrun starts the processes of one run"),
    ],
)
def test_what_does_not_go_together_is_told(
    environment: dict[str, str], arguments: list[str], line: str, tmp_path: Path
) -> None:
    place = {"RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"} if environment else {}
    status, out = finish(start(tmp_path, "rlbot.train", *arguments, **environment, **place))
    assert status == 1 and out.startswith(line) and len(out.splitlines()) <= 3, out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_fault_is_told_once_and_leaves_nothing(tmp_path: Path) -> None:
    for setting, fault in (("seed=x", "seed=x: must be"), ("env.num_envs=1", "env.num_envs=1: must be at least 2")):
        status, out = finish(torchrun(tmp_path, *SETTINGS, setting))
        assert status == 1 and out.count("[ERROR]") == out.count(f"[ERROR] {fault}") == 1, out
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_killed_process_ends_the_job(tmp_path: Path) -> None:
    launcher = torchrun(tmp_path, *LONG)
    seen = until(launcher, "Checkpoint saved")
    family = everything(launcher)
    ranks(launcher)[1].kill()
    status, out = finish(launcher, seen)
    assert status != 0
    assert len([line for line in out.splitlines() if line.startswith("[ERROR]")]) <= 3
    assert "another process of this run ended" in out and "rlbot/" not in out, out
    assert alive(family) == [] and checkpoints(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_torchrun_starts_the_job_anew_from_its_last_checkpoint(rank: int, tmp_path: Path) -> None:
    launcher = torchrun(tmp_path, *LONG, restarts=1)
    seen = until(launcher, "Checkpoint saved")
    family = everything(launcher)
    ranks(launcher)[rank].kill()
    status, out = finish(launcher, seen)
    assert status == 0 and "[OK] Resumed at 512 timesteps" in out and "Training finished" in out, out
    assert [path.name for path in tmp_path.iterdir() if path.name != "outputs"] == ["run"]
    assert list((tmp_path / "outputs").iterdir()) == [] and alive(family) == []


@pytest.mark.slow
def test_a_stopped_job_saves_and_goes_on_in_one_process(tmp_path: Path) -> None:
    launcher = torchrun(tmp_path, *LONG)
    seen = until(launcher, "] Timestep: ")
    family = everything(launcher)
    launcher.send_signal(signal.SIGTERM)
    _, out = finish(launcher, seen)
    assert "Checkpoint saved" in out and "Stopped at" in out and "[ERROR]" not in out and "[WARN]" not in out, out
    assert alive(family) == []
    one = start(tmp_path, "rlbot.train", "resume=run", "hardware=cpu", "total_timesteps=1500", "rating.enabled=false")
    status, out = finish(one)
    assert status == 0 and "Resumed at" in out and "not continued" not in out, out
