"""Real runs that are asked to stop: by Ctrl-C, by SIGTERM to the run or to each of its processes, at every moment."""

import os
import signal
import sys
from pathlib import Path

import pytest

from rlbot.run import valid_checkpoints
from tests.launching import LONG, Launch, Training, needs
from tests.training.test_killed import temporaries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to another process"),
]
SETTINGS = [
    "experiment=debug", LONG, "env.workers=2", "hardware.threads=1", "curriculum.pool_size=4", "hydra.run.dir=run"
]  # fmt: skip


def ended_well(run: Training, folder: Path) -> None:
    """The last iteration is saved, and no process died before."""
    assert run.status() == 0, run.lines[-20:]
    (stopped,) = run.having("[OK] Stopped at ")
    found, warnings = valid_checkpoints(folder / "run" / "checkpoints")
    assert warnings == [] and int(found[0].name.removeprefix("step_")) == int(stopped.split()[3])
    assert run.having("[WARN]") == run.having("[ERROR]") == run.having("Traceback") == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("[START] Training from", signal.SIGTERM),  # workers start
        ("[START] Training from", signal.SIGINT),
        ("] Timestep: ", signal.SIGTERM),
        ("] Timestep: ", getattr(signal, "SIGHUP", 1)),
        ("Checkpoint saved", signal.SIGINT),  # the rating process starts
    ],
)
def test_a_signal_to_every_process_of_a_run_saves_and_ends_it(
    launch: Launch, tmp_path: Path, moment: str, number: int
) -> None:
    """As batch queues and terminals send it."""
    needs(number)
    run = launch(*SETTINGS)
    run.says(moment)
    os.killpg(run.process.pid, number)
    if moment == "[START] Training from":  # maybe nothing to save yet
        assert run.status() == 0, run.lines[-20:]
        assert run.having("[OK] Stopped at ") and run.having("[WARN]") == run.having("Traceback") == []
    else:
        ended_well(run, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_save(launch: Launch, tmp_path: Path, number: int) -> None:
    needs(number)
    run = launch(*SETTINGS)
    run.says("Checkpoint saved")
    run.until(lambda: temporaries(tmp_path), "a save", pause=0.001)
    run.signal(number)
    ended_well(run, tmp_path)
    assert temporaries(tmp_path) == set()


@pytest.mark.parametrize("moment", ["[START] Stage 0", "Checkpoint saved"])
def test_a_second_ctrl_c_ends_at_once(launch: Launch, tmp_path: Path, moment: str) -> None:
    needs(signal.SIGINT)
    long = ["learner.batch_size=100_000", "learner.minibatch_size=100_000"] if moment == "[START] Stage 0" else []
    run = launch(*SETTINGS, *long)
    run.says(moment)
    run.signal(signal.SIGINT)
    run.says("[OK] Stopping after this iteration")
    run.signal(signal.SIGINT)
    assert run.status() in (130, 0) and run.having("Traceback") == []
    if run.process.returncode:
        assert run.lines[-1] == "[ERROR] interrupted"
    else:
        assert moment != "[START] Stage 0", "the first iteration was long enough"
    assert temporaries(tmp_path) == set() and valid_checkpoints(tmp_path / "run" / "checkpoints")[1] == []


def test_ctrl_c_before_anything_is_trained(launch: Launch, tmp_path: Path) -> None:
    needs(signal.SIGINT)
    run = launch(*SETTINGS)
    run.says("[START] Verification")
    run.signal(signal.SIGINT)
    assert run.status() == 130 and run.lines[-1] == "[ERROR] interrupted" and run.having("Traceback") == []


def test_ctrl_c_skips_the_wait_for_the_last_rating(launch: Launch, tmp_path: Path) -> None:
    needs(signal.SIGINT)
    run = launch(*SETTINGS, "total_timesteps=600", "rating.matches=1000")
    run.says("[OK] Waiting up to 30 s for the rating of the last version")
    run.signal(signal.SIGINT)
    assert run.status() == 0 and run.having("was not rated") and run.having("[OK] Training finished at ")
    assert run.having("Traceback") == []
