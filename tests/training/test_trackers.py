"""Trackers and callbacks in real runs: what is recorded, over a resume too; who ends a run; what fails."""

import csv
import json
from pathlib import Path

import pytest

from rlbot.run import valid_checkpoints
from rlbot.settings.command import compose
from rlbot.settings.errors import ConfigError
from rlbot.training.callbacks import Callbacks
from rlbot.training.loop import Progress
from rlbot.training.trackers import trackers_of
from tests.launching import Launch, curves

OWN = """
import json

class Lines:
    def __init__(self, path):
        self.path = path

    def log(self, step, metrics):
        with open(self.path, "a") as file:
            file.write(json.dumps([step, len(metrics)]) + "\\n")

    def close(self):
        with open(self.path, "a") as file:
            file.write("closed\\n")

def only(step, metrics):
    if step > 300:
        raise RuntimeError("full")

def enough(metrics, timesteps, least):
    metrics.clear()  # a copy of its own
    if timesteps >= least:
        return f"{timesteps} are enough"

def wrong(metrics, timesteps):
    return timesteps == 512 and 1 / 0

def number(metrics, timesteps):
    return 3.5
"""
RUN = ["experiment=debug", "rating.enabled=false", "env.workers=0", "hardware.threads=1", "hydra.run.dir=run"]


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return (tmp_path / "own.py").as_posix()


def test_what_is_recorded_over_a_resume_and_by_a_callback_that_ends_the_run(
    launch: Launch, tmp_path: Path, own: str
) -> None:
    lines, only = "{_target_: 'own.py:Lines', path: lines.txt}", "{_target_: 'own.py:only'}"
    run = launch(
        *RUN, f"tracker=[csv,{lines},tensorboard,{only}]", "+callback.enough={_target_: 'own.py:enough', least: 500}"
    )
    assert run.status() == 0, run.lines
    assert run.having("[OK] callback.enough (") and run.having("enough): 512 are enough"), run.lines
    assert run.having("[OK] Stopped at 512 timesteps")
    (warning,) = run.having("[WARN]")
    assert "own.py:only: log failed, it gets nothing more (RuntimeError: full)" in warning
    recorded = [json.loads(line) for line in (tmp_path / "lines.txt").read_text().splitlines()[:-1]]
    steps = [256, 512]
    assert [step for step, _ in recorded] == steps and recorded[0][1] > 30
    assert (tmp_path / "lines.txt").read_text().endswith("closed\n")
    assert [step for step, _ in curves(tmp_path / "run")["reward/step"]] == steps
    with (tmp_path / "run" / "metrics.csv").open("a") as file:
        file.write("770,1\n")  # of a process that was killed later
    (tmp_path / "own.py").unlink()  # the copy in the run is used

    again = launch("resume=run", "callback.enough.least=5000", "total_timesteps=1000")
    assert again.status() == 0 and again.having("Training finished at "), again.lines
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    points = curves(tmp_path / "run")
    assert [int(row["timesteps"]) for row in table] == [step for step, _ in points["reward/step"]]
    assert len(table) == 4 and set(points) == set(table[0]) - {"timesteps"}
    for name, each in points.items():
        told = [float(row[name]) for row in table if row[name]]
        assert told == pytest.approx([value for _, value in each], rel=1e-6, nan_ok=True), name


def test_a_callback_that_fails_ends_the_run_with_a_checkpoint_and_an_error(
    launch: Launch, tmp_path: Path, own: str
) -> None:
    run = launch(*RUN, "+callback.mine={_target_: 'own.py:wrong'}")
    assert run.status() == 1
    assert (
        run.lines[-1].startswith("[ERROR] callback.mine (") and "own.py:wrong) in iteration 2 fails: " in run.lines[-1]
    )
    assert run.lines[-1].endswith("ZeroDivisionError: division by zero (own.py, line 26)"), run.lines[-1]
    found, _ = valid_checkpoints(tmp_path / "run" / "checkpoints")
    assert found[0].name == "step_000000512" and not run.having("Traceback")


def test_what_callbacks_may_return(own: str) -> None:
    config = compose([f"+callback.mine={{_target_: '{own}:number'}}"])
    callbacks = Callbacks(config.callback)
    callbacks(Progress(), {})
    told = "in iteration 0 returns float; it must return None, True, or a reason to stop as text"
    assert callbacks.failure == f"callback.mine ({own}:number) {told}"
    assert callbacks.reason == callbacks.failure
    with pytest.raises(ValueError, match=r"^callback\.mine\._target_=.*: there is no function nothing in "):
        Callbacks(compose([f"+callback.mine={{_target_: '{own}:nothing'}}"]).callback)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["tracker=[tensorbord]"], "tracker.0=tensorbord: must be one of tensorboard, csv, wandb"),
        (["tracker=[csv,csv]"], 'tracker=["csv", "csv"]: names one of them twice'),
        (["tracker=csv"], "tracker=csv: must be a list, such as [A,B]"),
        (["tracker=[{path: x}]"], "tracker.0._target_=null: must be module.function or path/to/file.py:function"),
        (["+callback.mine=5"], "callback.mine._target_=null: must be module.function"),
    ],
)  # fmt: skip
def test_what_is_no_tracker_is_told(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose(overrides)
    assert told in str(refused.value)


def test_a_tracker_of_ones_own_without_its_methods_is_told(own: str) -> None:
    Path(own).write_text("class Half:\n    def log(self, step, metrics): pass\n")
    with pytest.raises(
        ValueError, match=r"^tracker\.0\._target_=.*:Half: has no method close; it needs log\(step, metrics\)"
    ):
        trackers_of(compose([f"tracker=[{{_target_: '{own}:Half'}}]"]), print)
