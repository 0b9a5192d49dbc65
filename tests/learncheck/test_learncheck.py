"""`python -m rlbot.learncheck`: a real one with tiny settings; its medians, its choice of checkpoints, its refusals."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import rlbot
from rlbot.learncheck.__main__ import main
from rlbot.learncheck.curves import Median, Row, medians, read, table, write
from rlbot.learncheck.trainings import progress, share, train
from rlbot.learncheck.versions import choose
from rlbot.run import Console
from rlbot.settings.command import compose
from rlbot.settings.errors import CommandFailed
from tests.launching import needs

ROOT = Path(rlbot.__file__).parents[1]
TINY = [
    "model=mlp_small", "curriculum=duel", "hardware=cpu", "user=default", "env.num_envs=2", "env.workers=0",
    "learner.batch_size=128", "learner.minibatch_size=64", "total_timesteps=256", "checkpoint_interval=128",
    "learncheck.interval=128", "learncheck.matches=2", "learncheck.match_seconds=2", "learncheck.name=tiny",
]  # fmt: skip
ROW = Row(
    "recipe", "seed_0", 0, "1v1", "random", 500, 512, 60.0, 4, 2, 1, 1, 0.5, 0.2, 0.8, 1.0, -1.0, 3.0, 2.0, 1.0, 9.0
)


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "rlbot.learncheck", *TINY, "hydra.run.dir='it\\'s here'", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Directory and output of a learncheck of two seeds."""
    folder = tmp_path_factory.mktemp("learncheck")
    process = start(folder, "learncheck.seeds=[0,3]")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return folder / "it's here", out


def test_every_seed_is_trained_and_every_point_evaluated(trained: Any) -> None:
    directory, out = trained
    with (directory / "learncheck.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["timesteps"], row["opponent"]) for row in rows] == [
        (seed, timesteps, opponent)
        for seed in ("0", "3")
        for timesteps in ("128", "256")
        for opponent in ("random", "idle")
    ]
    for row in rows:
        run = directory / f"seed_{row['seed']}"
        checkpoint = run / "checkpoints" / f"step_000000{row['timesteps']}"
        assert float(row["seconds"]) == json.loads((checkpoint / "progress.json").read_text())["seconds"] > 0
        assert json.loads((run / "run.json").read_text())["config"]["seed"] == int(row["seed"])
        assert int(row["won"]) + int(row["drawn"]) + int(row["lost"]) == int(row["matches"]) == 2
    assert (directory / "learncheck_1v1.png").read_bytes().startswith(b"\x89PNG")
    assert out.isascii() and "[OK] seed 3: trained" in out and "tiny, 1v1 against idle" in out


def test_runs_that_exist_are_evaluated_alike_and_compared(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, _ = trained
    monkeypatch.chdir(directory)
    earlier = read([directory / "learncheck.csv"])
    (tmp_path / "again").mkdir()
    main(compose([*TINY, "learncheck.of=[seed_0,seed_3]"], "learncheck"), tmp_path / "again")
    assert read([tmp_path / "again" / "learncheck.csv"]) == earlier
    (tmp_path / "both").mkdir()
    compared = compose(["learncheck.compare=[., '" + (tmp_path / "again").as_posix() + "']"], "learncheck")
    at_the_end = [row.goal_difference for row in earlier if (row.timesteps, row.opponent) == (256, "random")]
    assert main(compared, tmp_path / "both") == sum(at_the_end) / 2
    found = read([tmp_path / "both" / "learncheck.csv"])
    assert {row.recipe for row in found} == {"tiny (.)", f"tiny ({(tmp_path / 'again').as_posix()})"} and len(
        found
    ) == 2 * len(earlier)


def test_choose() -> None:
    """The first of each interval, and the newest, whatever it is."""
    assert choose([753_664, 507_904, 1_015_808, 262_144, 1_507_328], 500_000) == {
        500_000: 507_904, 1_000_000: 1_015_808, 1_500_000: 1_507_328,
    }  # fmt: skip
    assert choose([1_015_808, 1_200_000], 500_000) == {1_000_000: 1_015_808, 1_200_000: 1_200_000}
    assert choose([300], 500) == {300: 300}


def test_medians_and_table() -> None:
    rows = [
        ROW,
        dataclasses.replace(ROW, run="seed_1", seed=1, seconds=90.0, win_rate=0.7, goals_for_per_minute=5.0),
        dataclasses.replace(ROW, run="seed_2", seed=2, seconds=30.0, win_rate=0.6, goals_for_per_minute=4.0),
        dataclasses.replace(ROW, point=1000, timesteps=1024, seconds=120.0),
        dataclasses.replace(ROW, run="seed_1", seed=1, point=1000, timesteps=1280, seconds=180.0, win_rate=0.9),
    ]
    first, last = medians(rows[::-1])
    assert first == Median(500, 3, 512, 60.0, 0.6, 0.2, 0.8, 1.0, -1.0, 3.0, 4.0, 1.0, 9.0)
    assert last == Median(1000, 2, 1152, 150.0, 0.7, 0.2, 0.8, 1.0, -1.0, 3.0, 2.0, 1.0, 9.0)
    lines = list(table(rows))
    assert " ".join(lines[2].split()) == "512 1.0 3 9.00 4.00 1.00 +1.00 (-1.00 to +3.00) 60% (20% to 80%)"
    assert len(lines) == 4 and all(line.isascii() and len(line) < 100 for line in lines)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    write([ROW], tmp_path / "rows.csv")
    assert read([tmp_path / "rows.csv"]) == [ROW]
    for content in (b"", b"recipe,run\nmine,seed_0\n", b"epoch,loss\n1,2\n", b"\xff\xfe"):
        (tmp_path / "rows.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"rows\.csv (was not written by|holds no row)"):
            read([tmp_path / "rows.csv"])


def test_what_a_training_takes() -> None:
    own = ["rating.enabled=false", "keep_best=21"]
    config = compose()
    assert share(config, 1) == ["env.workers=0", "hardware.threads=1", *own]
    assert share(config, 4) == ["env.workers=4", "hardware.threads=4", *own]
    assert share(compose(["learner.overlap=true"]), 1) == ["env.workers=1", "hardware.threads=1", *own]
    assert share(compose(["env.workers=3", "hardware.threads=2"]), 1) == own


def test_how_far_a_training_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"[START] Training\r\n")
    assert progress(log) is None
    with Console(stream=log.open("a")) as console:
        console.progress(1_200_000, 3_000_000, 9_800.0, "reward 0.5")
        console.ok("Checkpoint saved at 1200000 timesteps")
    assert progress(log) == "1200000/3000000 (40.0%), 9800.0 timesteps/sec, reward 0.5, 0:03:04 left"


def test_a_training_that_fails_is_named(tmp_path: Path) -> None:
    with Console() as console, pytest.raises(CommandFailed) as error:
        train([7], ["learner.epochs=-1"], tmp_path, 1, console)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("seed 7: its training ended with status 1: learner.epochs=-1: must be at least 1")
    assert lines[1] == f"its output: {tmp_path / 'seed_7.log'}" and Path(tmp_path, "seed_7.log").is_file()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("learncheck.seeds=[]", r"learncheck\.seeds=\[\]: needs at least one, such as \[0\]"),
        ("learncheck.seeds=[1,2,1]", r"learncheck\.seeds=\[1, 2, 1\]: names one of them twice"),
        ("learncheck.teams=[]", r"learncheck\.teams=\[\]: needs at least one, such as \[1v1\]"),
        ("learncheck.teams=[4v4]", r"learncheck\.teams\.0=4v4: must be one of 1v1, 1v2, 1v3, 2v2, 2v3, 3v3"),
        (
            "learncheck.interval=100_000",
            r"interval=100000: must be at least checkpoint_interval=250000; set that lower",
        ),
        ("learncheck.of=[nowhere]", r"learncheck\.of\.0=nowhere: no such folder"),
        ("learncheck.compare=[.]", r"learncheck\.compare\.0=\.: holds no learncheck\.csv"),
        ("resume=.", r"resume=\.: a learncheck trains from scratch; learncheck\.of="),
    ],
)
def test_refused_settings(override: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=expected):
        compose([override], "learncheck")


@pytest.mark.slow
def test_a_failure_ends_the_command_and_the_other_trainings_but_leaves_what_there_is(tmp_path: Path) -> None:
    """One seed has a reward that raises, the other would train for hours."""
    (tmp_path / "mine.py").write_text(
        "import sys\nimport numpy as np\n\n\ndef term(before, after):\n    assert 'seed_1' not in sys.argv[-1]\n"
        "    return np.zeros(after.car_boost.shape)\n"
    )
    process = start(
        tmp_path, "+reward.terms.mine={_target_: 'mine.py:term', weight: 1}", "total_timesteps=100_000_000",
        "learncheck.seeds=[0,1]", "learncheck.parallel=2",
    )  # fmt: skip
    _, err = process.communicate(timeout=300)
    lines = err.splitlines()
    assert process.returncode == 1 and len(lines) == 2
    assert lines[0].startswith("[ERROR] seed 1: ") and "mine" in lines[0]
    assert lines[1].endswith("seed_1.log") and (tmp_path / "it's here" / "seed_0.log").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopping_it_ends_the_trainings(tmp_path: Path, number: signal.Signals) -> None:
    needs(number)
    process = start(tmp_path, "learncheck.seeds=[0,1]", "total_timesteps=100_000_000")
    assert process.stdout is not None
    assert any("timesteps/sec" in line for line in process.stdout)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (130, "[ERROR] interrupted\n")
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert list((tmp_path / "it's here").glob("seed_*/checkpoints/step_*"))


@pytest.mark.slow
def test_killing_it_ends_the_trainings(tmp_path: Path) -> None:
    process = start(tmp_path, "learncheck.seeds=[0]", "total_timesteps=100_000_000", "env.workers=1")
    log = tmp_path / "it's here" / "seed_0.log"
    deadline = time.monotonic() + 300
    while not (log.is_file() and "] Timestep: " in log.read_text(encoding="utf-8")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2, "the training and its worker"
    process.kill()
    assert not psutil.wait_procs(children, timeout=20)[1]
