"""`python -m rlbot.train` in real processes: what a run leaves, going on exactly, signals, sweeps, mistakes."""

import json
import math
import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from rlbot import recording
from rlbot.run import load_checkpoint
from tests.launching import curves, ended, run_command, start_command

TOTAL = 3000
# Three stages of which the second, against the past, is long enough to be stopped in.
ARGUMENTS = [
    "experiment=debug", "seed=3", f"total_timesteps={TOTAL}", "curriculum.stages.outnumbered.until=2000",
    "learner.anneal_learning_rate=false", "hardware.threads=1", "log_interval=0",
]  # fmt: skip
QUICK = ["experiment=debug", "total_timesteps=250", "env.workers=0", "hardware.threads=1", "rating.enabled=False"]


def interrupted(folder: Path, number: signal.Signals, *arguments: str) -> tuple[int, str, str]:
    """A run that gets a signal after its first iteration."""
    process = start_command(folder, "rlbot.train", *arguments)
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "] Timestep: " in line:
            process.send_signal(number)
            break
    status, out, err = ended(process)
    return status, seen + out, err


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step_*"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run from the start to the end in two worker processes, and what it printed."""
    folder = tmp_path_factory.mktemp("straight")
    status, out, err = run_command(folder, "rlbot.train", *ARGUMENTS, "env.workers=2", "hydra.run.dir=run")
    assert (status, err) == (0, "")
    return folder / "run", out


@pytest.fixture(scope="module")
def points(straight: tuple[Path, str]) -> dict[str, list[tuple[int, float]]]:
    return curves(straight[0])


def test_what_the_console_says_in_its_order(straight: tuple[Path, str]) -> None:
    run, out = straight
    lines = iter(out.splitlines())
    assert out.isascii() and all(re.match(r"\[(OK|START)\] ", line) for line in out.splitlines())
    for expected in (
        f"[START] Verification of {run}",
        "[OK] Curriculum stages: duel (1v1 against self, until 300 timesteps), "
        "outnumbered (1v2 against past, until 2000 timesteps)",
        "[OK] Curriculum restricted to 1v1, 1v2, 2v2",
        "[OK] Environment of stage outnumbered: one arena of each size, 1v2, 2v1, 6 cars",
        "[OK] Environment of stage doubles: one arena of each size, 2v2, 4 cars",
        "[OK] Multi-environment check: 2 environments stepped together, observations (8, 180), rewards (8,)",
        "[OK] Model forward pass: observations (4, 180) -> controls (4, 8)",
        "[OK] Rollout of 16 steps: rewards finite",
        "[START] Configuration",
        "[OK] User: default",
        "[OK] Device: ",
        "[OK] Mixed precision: ",
        "[OK] Number of environments: 2",
        "[OK] Vectorized: in ",
        "[OK] Model parameters: 92123",
        "[OK] Batch size: 256",
        "[OK] Learning rate: 0.0006",
        "[OK] Checkpoint interval: 500",
        "[OK] Hardware: ",
        f"[START] Training from 0 to {TOTAL} timesteps",
        "[START] Making the arenas of stage 0 (duel)",
        "[START] Stage 0 (duel): 1v1 against self, until 300 timesteps; 2 arenas, 4 learning cars",
        f"[OK] Timestep: 256/{TOTAL} (",
        "[OK] Checkpoint saved at 512 timesteps",
        "[START] Stage 1 (outnumbered): 1v2 against past, until 2000 timesteps; 2 arenas, 3 learning cars",
        "[START] Stage 2 (doubles): 2v2 against self, until the end; 2 arenas, 8 learning cars",
        "[OK] Training finished at ",
        f"[OK] Run directory: {run}",
    ):
        assert any(line.startswith(expected) for line in lines), expected


def test_what_a_run_leaves_in_its_directory(straight: tuple[Path, str]) -> None:
    run, out = straight
    assert {path.name for path in run.iterdir()} == {
        ".hydra", ".lock", "checkpoints", "ratings.json", "recordings", "result.json", "run.json", "tensorboard",
        "train.log",
    }  # fmt: skip
    log = (run / "train.log").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in log] == out.splitlines()
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert info["config"]["seed"] == 3 and info["user"] == "default" and info["packages"]["torch"]
    assert f"total_timesteps={TOTAL}" in (run / ".hydra" / "overrides.yaml").read_text(encoding="utf-8")
    rated = json.loads((run / "ratings.json").read_text(encoding="utf-8"))["ratings"]
    saved = checkpoints(run)
    told = [int(step) for step in re.findall(r"Checkpoint saved at (\d+)", out)]
    assert set(saved) <= {run / "checkpoints" / f"step_{step:09d}" for step in told} and len(told) == 6
    points = {step: sum(rated[team][str(step)]["points"] for team in ("1v1", "2v2")) for step in map(int, rated["1v1"])}
    best = sorted(points, key=lambda step: (points[step], step))[-5:]  # fewer where the rating did not keep up
    assert {run / "checkpoints" / f"step_{step:09d}" for step in (*best, told[-1])} <= set(saved)
    assert len(saved) in (5, 6)  # the 5 best, and the newest where it is not one of them
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    recorded = [recording.load(path) for path in (run / "recordings").iterdir()]
    assert len(recorded) == 2 and {len(match.slots) for match in recorded} == {2, 4}, (
        "of the first version, in both sizes"
    )
    assert (result["status"], result["objective"], result["timesteps"]) == ("finished", "reward", told[-1])
    assert result["value"] == result["reward"] and result["rating"] == pytest.approx(points[max(points)] / 2)
    tensors, documents = load_checkpoint(saved[-1])
    assert set(tensors) == {"model", "learner", "environment", "opponents"}
    assert documents["progress"]["timesteps"] == told[-1] >= TOTAL and documents["progress"]["stage"] == 2
    assert len(documents["policy"]["action_table"]) == 90


def test_curves_over_timesteps(points: dict[str, list[tuple[int, float]]], straight: tuple[Path, str]) -> None:
    expected = {
        "reward/step", "reward/episode", "reward_term/touch", "reward_term/speed_to_ball", "reward_term/goal",
        "episode/count", "episode/seconds", "play/goals_per_minute", "play/touches_per_minute", "play/speed",
        "policy/entropy", "policy/kl", "policy/clip_fraction", "value/explained_variance", "loss/policy",
        "loss/value", "loss/total", "learner/gradient_norm", "learner/learning_rate", "learner/bad_updates",
        "speed/timesteps_per_second", "speed/collecting_per_second", "speed/collecting_share",
        "speed/learning_share", "curriculum/stage",
    }  # fmt: skip
    assert expected <= set(points)
    steps = [step for step, _ in points["reward/step"]]
    assert steps == [int(step) for step in re.findall(r"Timestep: (\d+)/", straight[1])] == sorted(set(steps))
    for tag in expected - {"reward/episode", "episode/seconds"}:  # those exist where an episode ended
        assert [step for step, _ in points[tag]] == steps, tag
    rated = [int(step) for step in re.findall(r"Rating of the version at (\d+) timesteps: 1v1 [+-]", straight[1])]
    assert rated and rated == sorted(set(rated))
    for tag in ("rating/1v1", "rating/2v2", "rating_error/1v1", "rating_error/2v2"):
        assert [step for step, _ in points[tag]] == rated, tag
    stages = [value for _, value in points["curriculum/stage"]]
    assert stages == sorted(stages) and set(stages) == {0, 1, 2}


def test_the_numbers_make_sense(points: dict[str, list[tuple[int, float]]]) -> None:
    for tag, each in points.items():
        if tag != "value/explained_variance":  # not defined where all returns are equal
            assert all(math.isfinite(value) for _, value in each), tag
    assert all(0 < value < math.log(90) + 1e-4 for _, value in points["policy/entropy"])
    assert points["policy/entropy"][-1][1] < math.log(90) - 1e-3
    assert all(value == 0 for _, value in points["learner/bad_updates"])
    assert all(0 < value < 1 for _, value in points["speed/learning_share"])
    assert all(value == pytest.approx(6e-4) for _, value in points["learner/learning_rate"])
    terms = [point for tag in points if tag.startswith("reward_term/") for point in points[tag]]
    for timesteps, total in points["reward/step"]:  # a stage may do without some terms
        paid = [value for at, value in terms if at == timesteps]
        assert len(paid) >= 8 and sum(paid) == pytest.approx(total, abs=1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_a_run_that_is_stopped_and_resumed_three_times_ends_with_the_same_bits(
    straight: tuple[Path, str], points: dict[str, list[tuple[int, float]]], tmp_path: Path
) -> None:
    """To its own end, by Ctrl-C, by SIGTERM; in this process alone, where the other run had two workers."""
    alone = "env.workers=0"
    outcomes = [run_command(tmp_path, "rlbot.train", *ARGUMENTS, alone, "total_timesteps=700")]
    assert "Training finished at 770 timesteps" in outcomes[0][1]
    outcomes.append(interrupted(tmp_path, signal.SIGINT, "resume=latest", alone, f"total_timesteps={TOTAL}"))
    outcomes.append(interrupted(tmp_path, signal.SIGTERM, "resume=latest"))  # the settings of the checkpoint
    outcomes.append(run_command(tmp_path, "rlbot.train", "resume=latest"))
    assert [status for status, *_ in outcomes] == [0] * 4
    stops = []
    for _, out, err in outcomes[1:3]:
        assert "[OK] Stopping after this iteration, with a checkpoint" in err and err.count("[") == 1
        stop = re.search(r"Stopped at (\d+) timesteps", out)
        assert stop is not None and f"Checkpoint saved at {stop[1]} timesteps" in out
        stops.append(int(stop[1]))
    assert 770 < stops[0] < stops[1] < TOTAL
    assert f"[OK] Resumed at {stops[1]} timesteps from" in outcomes[3][1]
    assert f"Training from {stops[1]} to {TOTAL}" in outcomes[3][1]
    (run,) = tmp_path.glob("outputs/2*/*")  # resumed in its own directory, the others are gone
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert len(info["previous"]) == 3 and info["config"]["total_timesteps"] == TOTAL

    one, other = (load_checkpoint(checkpoints(each)[-1]) for each in (straight[0], run))
    for group in one[0]:
        for name, tensor in one[0][group].items():
            assert (tensor == other[0][group][name]).all(), f"{group}/{name}"
    assert one[1]["environment_state"] == other[1]["environment_state"]
    assert {**one[1]["progress"], "seconds": 0} == {**other[1]["progress"], "seconds": 0}
    again = curves(run)
    assert all(again[tag] == points[tag] for tag in points if not tag.startswith(("speed/", "rating")))
    rated = json.loads((run / "ratings.json").read_text(encoding="utf-8"))["ratings"]["1v1"]
    assert {"770", str(one[1]["progress"]["timesteps"])} <= set(rated), "of the first start and the last"


def test_a_rating_process_that_is_killed_does_not_stop_the_training(tmp_path: Path) -> None:
    process = start_command(tmp_path, "rlbot.train", *ARGUMENTS, "env.workers=0", "hydra.run.dir=run")
    assert process.stdout is not None
    seen = ""
    while "Checkpoint saved" not in seen:
        seen += process.stdout.readline()
    time.sleep(0.5)
    children = psutil.Process(process.pid).children()
    for child in children:
        if "resource_tracker" not in " ".join(child.cmdline()):
            child.kill()
    out, err = process.communicate(timeout=300)
    out = seen + out
    assert (process.returncode, err) == (0, "") and "[OK] Training finished at " in out
    assert out.count("[WARN]") == 1 and "[WARN] The rating process ended with exit code" in out
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_resuming_with_another_network_is_told_and_changes_nothing(straight: tuple[Path, str]) -> None:
    run, _ = straight
    before = (run / "run.json").read_bytes(), sorted(path.name for path in run.rglob("*"))
    status, _, err = run_command(run.parent, "rlbot.train", f"resume={run}", "model=mlp", "env.workers=0")
    assert status == 1 and err.startswith("[ERROR] resume=") and len(err.splitlines()) == 2
    assert "its network has another shape" in err and "Traceback" not in err
    assert before == ((run / "run.json").read_bytes(), sorted(path.name for path in run.rglob("*")))
    assert not list(run.parent.glob("outputs"))


def test_a_job_of_a_sweep_that_fails_does_not_spoil_the_others(tmp_path: Path) -> None:
    sweep = ["seed=1,2", "learner.minibatch_size=64,512", "hydra.sweep.dir=sweep"]
    status, out, err = run_command(tmp_path, "rlbot.train", "--multirun", *QUICK, *sweep)
    assert status == 1 and out.count("[OK] Training finished at 256 timesteps") == 2
    told = "learner.minibatch_size=512: must be at most learner.batch_size=256"
    failed = [
        f"[ERROR] job {job} ({' '.join(QUICK)} seed={seed} learner.minibatch_size=512): {told}"
        for job, seed in ((1, 1), (3, 2))
    ]
    assert err.splitlines() == failed
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()) == ["0", "2"]
    models = [load_checkpoint(checkpoints(tmp_path / "sweep" / job)[-1])[0]["model"] for job in ("0", "2")]
    assert any((models[0][name] != models[1][name]).any() for name in models[0])
    assert not (tmp_path / "outputs").exists()


OWN = """
def height(before, after, above=0.0):
    return (after.car_pos[..., 2] > above) * 1.0

def raising(before, after):
    return 1 / 0
"""


def test_two_runs_at_once_one_with_a_term_of_its_own_on_a_console_of_windows(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    term = "+reward.terms.mine={_target_: 'mine.py:height', weight: 0.5, above: 1.0}"
    both = [
        start_command(tmp_path, "rlbot.train", *QUICK, term, "user.name='\u0141ukasz'"),
        start_command(tmp_path, "rlbot.train", *QUICK, "user.name=plain"),
    ]
    for process, name in zip(both, ("\\u0141ukasz", "plain"), strict=True):
        status, out, err = ended(process)
        assert (status, err) == (0, "") and f"[OK] User: {name}" in out.splitlines()
    runs = sorted(tmp_path.glob("outputs/2*/*"))
    assert len(runs) == 2
    names = [json.loads((run / "run.json").read_text(encoding="utf-8"))["user"] for run in runs]
    assert sorted(names) == ["plain", "\u0141ukasz"]
    mine = curves(runs[names.index("\u0141ukasz")])["reward_term/mine"]
    assert [value for _, value in mine] == [0.5]  # every car is higher than 1 uu, all the time


def test_a_term_of_the_users_own_that_fails_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    term = "+reward.terms.mine={_target_: 'mine.py:raising', weight: 0}"
    status, _, err = run_command(
        tmp_path, "rlbot.train", *QUICK, term, "+curriculum.stages.duel.reward.mine=1"
    )  # in one stage only
    assert (status, err) == (
        1,
        "[ERROR] reward.terms.mine fails: ZeroDivisionError: division by zero (mine.py, line 6)\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


BREAKS = """
import numpy as np

calls = 0

def later(before, after):
    global calls
    calls += 1
    return after.present * (np.nan if calls > 150 else 0.1)
"""


@pytest.mark.slow
def test_a_term_that_breaks_for_good_ends_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    """64 steps an iteration, in two workers: the third is bad, and so are all that follow."""
    (tmp_path / "mine.py").write_text(BREAKS, encoding="utf-8")
    arguments = ["experiment=debug", "curriculum=duel", "env.workers=2", "hardware.threads=1", "rating.enabled=false"]
    arguments += ["total_timesteps=3000", "checkpoint_interval=250", "learner.max_bad_updates=3"]
    term = "+reward.terms.mine={_target_: 'mine.py:later', weight: 1}"
    status, out, err = run_command(tmp_path, "rlbot.train", *arguments, term, "hydra.run.dir=run")
    run = tmp_path / "run"
    lines = err.splitlines()
    assert status == 1 and len(lines) == 2 and all(line.startswith("[ERROR] ") for line in lines)
    assert (
        f"3 bad updates in a row: reward.terms.mine ({tmp_path / 'mine.py'}:later) was not finite in 100% of the steps"
        in lines[0]
    )
    assert "step_000000512 is intact" in lines[1] and f"resume={run}" in lines[1]
    assert [path.name for path in checkpoints(run)] == ["step_000000256", "step_000000512"]
    assert out.count("[WARN]") == 3 == len(list((run / "bad").iterdir())) and lines[0][8:] in out
    assert [value > 0 for _, value in curves(run)["env/bad_arenas"]] == [False, False, True, True, True]

    (tmp_path / "mine.py").write_text(BREAKS.replace("np.nan", "0.2"), encoding="utf-8")
    status, out, err = run_command(tmp_path, "rlbot.train", "resume=run", "total_timesteps=1000")
    assert (status, err) == (0, "") and "Resumed at 512 timesteps" in out
    assert out.count("[WARN]") == 2 and f"[WARN] {tmp_path / 'mine.py'} has changed since the run last started" in out
    assert "[WARN] Learning rate now: " in out  # the schedule of a shorter run
