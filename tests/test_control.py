"""`python -m rlbot.control` and trainings that really run: every command, and what is refused."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlbot import control
from rlbot.run import load_checkpoint, locked
from tests.launching import LONG, ROOT, Launch
from tests.training.test_distributed import finish, torchrun, until

SETTINGS = [
    "experiment=debug", LONG, "hardware.threads=1", "rating.enabled=false", "log_interval=0", "hydra.run.dir=run",
    "learner.anneal_learning_rate=false",
]  # fmt: skip


class Ask:
    """Runs the command in this process; `told` is the line that it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], run: Path) -> None:
        self._capsys, self._run, self.told = capsys, run, ""

    def __call__(self, *arguments: str) -> int:
        status = control.main([f"run={self._run}", *arguments])
        out, err = self._capsys.readouterr()
        assert (out == "") != (err == "") and (out == "") == (status == 1)
        self.told = (out + err).rstrip("\n")
        return status


def busy(processes: list[psutil.Process]) -> float:
    """CPU seconds that the processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process can send another")
def test_a_run_is_paused_changed_saved_and_goes_on(
    launch: Launch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, ask = launch(*SETTINGS, "env.workers=2"), Ask(capsys, tmp_path / "run")
    run.says("] Timestep: ")
    assert ask("pause") == 0 and ask.told.startswith("[OK] Paused at ")
    paused = int(ask.told.split()[3])
    family = run._session()
    assert len(family) >= 3
    time.sleep(0.5)
    before = busy(family)
    time.sleep(2)
    assert busy(family) - before < 0.2
    assert ask("pause") == 1 and ask.told == "[ERROR] It is paused already"
    assert ask("save") == 0 and ask.told == f"[OK] Checkpoint saved at {paused} timesteps"
    assert ask("set", "learner.learning_rate=2e-4", "reward.terms.touch_to_goal=0", "checkpoint_interval=500_000") == 0
    assert ask.told == (
        "[OK] learner.learning_rate=0.0002 (before: 0.0006), reward.terms.touch_to_goal=0.0 (before: 2.0), "
        f"checkpoint_interval=500000 (before: 500) from {paused} timesteps on; learning rate now 0.0002"
    )
    assert ask("set", "learner.gamma=0.9") == 1 and "cannot change while a run trains" in ask.told
    saved = load_checkpoint(tmp_path / "run" / "checkpoints" / f"step_{paused:09d}")[1]
    assert saved["config"]["learner"]["learning_rate"] == 2e-4 and saved["progress"]["timesteps"] == paused
    assert ask("resume") == 0 and ask.told == f"[OK] Resumed at {paused} timesteps"
    run.says("] Timestep: ", again=True)
    assert ask("pause") == 0
    run.signal(signal.SIGINT)
    assert run.status() == 0 and run.having("[OK] Stopped at "), run.lines
    assert run.having("[OK] Changed learner.learning_rate=0.0002") and not run.having("[ERROR]")
    assert ask("save") == 1 and ask.told == f"[ERROR] no training runs in {tmp_path / 'run'}"

    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["config"]["learner"]["learning_rate"] == 2e-4
    assert [change["timesteps"] for change in info["changes"]] == [paused]
    curves = EventAccumulator(
        str(tmp_path / "run" / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0}
    ).Reload()
    (text,) = curves.Tensors("changed settings")
    assert b"learner.learning_rate=0.0002" in text.tensor_proto.string_val[0] and text.step == paused
    rates = {point.step: point.value for point in curves.Scalars("learner/learning_rate")}
    assert {step: rate > 5e-4 for step, rate in rates.items()} == {step: step <= paused for step in rates}
    again = launch("resume=run", "total_timesteps=100")
    assert again.status() == 0 and again.having("[OK] Learning rate: 0.0002"), again.lines


SEND = """
from pathlib import Path

def send(metrics, timesteps, run):
    if timesteps == 768:
        folder = Path(run) / "control"
        folder.mkdir()
        settings = '{"reward.terms.speed_to_ball": 2.0, "reward.terms.own_half": 0.5, "learner.clip_range": 0.1}'
        (folder / "1.request.json").write_text('{"command": "set", "settings": ' + settings + '}')
"""


@pytest.mark.slow
def test_a_run_that_was_changed_ends_with_the_same_bits_after_a_resume(launch: Launch, tmp_path: Path) -> None:
    """Changed after the third iteration, while the workers play the fourth; with one worker, and with two."""
    (tmp_path / "send.py").write_text(SEND, encoding="utf-8")
    stages = ["curriculum.stages.duel.until=1300", "curriculum.stages.outnumbered.until=5000"]
    settings = [*SETTINGS, *stages, "learner.overlap=true", "total_timesteps=2000"]
    for run in ("straight", "stopped"):
        callback = f"+callback.send={{_target_: 'send.py:send', run: {run}}}"
        first = ["total_timesteps=1000", "env.workers=2"] if run == "stopped" else ["env.workers=1"]
        process = launch(*settings, callback, f"hydra.run.dir={run}", *first)
        assert process.status() == 0 and process.having("[OK] Changed reward.terms.speed_to_ball=2.0"), process.lines
    process = launch("resume=stopped", "total_timesteps=2000", "env.workers=1")
    assert process.status() == 0 and process.having("[OK] Resumed at 1024 timesteps"), process.lines
    one, other = (
        load_checkpoint(sorted((tmp_path / run / "checkpoints").glob("step_*"))[-1]) for run in ("straight", "stopped")
    )
    for group, tensors in one[0].items():
        assert list(tensors) == list(other[0][group])
        for name, tensor in tensors.items():
            assert (tensor == other[0][group][name]).all(), f"{group}/{name}"
    assert one[1]["environment_state"] == other[1]["environment_state"]
    assert one[1]["config"]["reward"] == other[1]["config"]["reward"]
    assert one[1]["config"]["reward"]["terms"]["own_half"] == 0.5


@pytest.mark.slow
def test_all_ranks_follow_rank_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process, ask = torchrun(tmp_path, *SETTINGS, "env.workers=0"), Ask(capsys, tmp_path / "run")
    seen = until(process, "] Timestep: ")
    for words in (["set", "learner.entropy_coef=0.5"], ["pause"], ["save"], ["resume"], ["stop"]):
        assert ask(*words) == 0, ask.told
    status, out = finish(process, seen)
    assert status == 0 and out.count("[OK] rlbot.control stopped the run") == out.count("[OK] Stopped at ") == 1, out
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step_*"))[-1]
    assert load_checkpoint(newest)[1]["config"]["learner"]["entropy_coef"] == 0.5


def test_a_job_is_stopped_and_the_sweep_goes_on(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "latest").mkdir(parents=True)  # a run that has ended
    sweep = launch("-m", *(each for each in SETTINGS if "run.dir" not in each), "env.workers=0", "seed=0,1")
    sweep.says("] Timestep: ")
    (home,) = (tmp_path / "multirun").glob("*/*")
    ask = Ask(capsys, Path("latest"))
    assert ask("stop") == 0 and ask.told.startswith("[OK] Stopping at "), ask.told
    sweep.says("[START] Job 1: ")
    sweep.says("] Timestep: ", again=True)
    ask = Ask(capsys, home)
    assert ask("save") == 0 and ask.told.startswith("[OK] Checkpoint saved at "), ask.told
    assert ask("stop") == 0
    assert sweep.status() == 0 and sweep.having("[OK] Jobs of the sweep: 2 stopped"), sweep.lines
    assert len(sweep.having("[OK] rlbot.control stopped the run")) == 2 and not sweep.having("[ERROR]")
    assert all(list((home / job / "checkpoints").glob("step_*")) for job in "01")
    assert ask("stop") == 1 and ask.told == f"[ERROR] no training runs in {home}"


def test_of_jobs_in_parallel_one_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = [tmp_path / "multirun" / "2026-01-02" / "03-04-05" / name for name in ("0", "1")]
    for folder in (*jobs, tmp_path / "multirun" / "2026-01-02" / "02-00-00" / "0"):
        folder.mkdir(parents=True)
    with locked(jobs[0], print):
        assert control.find_training("latest") == jobs[0]
        with locked(jobs[1], print):
            assert control.main(["run=latest", "stop"]) == 1
            assert capsys.readouterr().err == f"[ERROR] run=latest: jobs 0, 1 train; name one: run={jobs[0]}\n"
            assert control.find_training(str(jobs[1])) == jobs[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the form is python -m rlbot.control run=latest save|stop|pause|resume|set NAME=VALUE ..."),
        (["save"], "save: the form is"),
        (["run=RUN", "sav"], "run=RUN sav: the form is"),
        (["run=RUN", "set"], "run=RUN set: the form is"),
        (["run=RUN", "save", "learner.learning_rate=1"], "the form is"),
        (["run=RUN", "set", "learner.learning_rate"], "learner.learning_rate: must be NAME=VALUE"),
        (["run=RUN", "set", "learner.learning_rate=1,2"], "learner.learning_rate=1,2: must be NAME=VALUE, with one"),
        (["run=RUN", "set", "~learner.learning_rate"], "~learner.learning_rate: must be NAME=VALUE"),
        (["run=RUN", "save", "timeout=soon"], "timeout=soon: must be a number of seconds"),
        (["run=nowhere", "save"], "run=nowhere: there is no directory"),
        (["run=latest", "save"], "no training runs in "),
    ],
)
def test_what_is_no_command_is_told(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("RUN", "outputs/latest"):
        (tmp_path / folder).mkdir(parents=True)
    assert control.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("[ERROR] ") and told in err and len(err.splitlines()) <= 3
    if "run=latest" in arguments:
        assert err.endswith("; a new run is latest from its first checkpoint on: name its directory\n")


def test_as_a_command(tmp_path: Path) -> None:
    with locked(tmp_path, print):
        done = subprocess.run(
            [sys.executable, "-m", "rlbot.control", f"run={tmp_path}", "save", "timeout=0.2"],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1 and done.stdout == "" and "no answer from the training" in done.stderr
