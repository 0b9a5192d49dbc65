"""Sweeps: the table and the plot of results made by hand, and real jobs under every launcher that is installed."""

import csv
import importlib.util
import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from rlbot.run import RESULT
from rlbot.settings.command import compose
from rlbot.settings.errors import ConfigError
from rlbot.settings.explain import EXTRAS
from rlbot.settings.schema import TrainConfig
from rlbot.sweep import FAILURES, collect
from rlbot.sweep.plot import axis_of
from rlbot.sweep.report import report, spearman
from rlbot.training.report import OBJECTIVES
from tests.launching import ROOT, ended, run_command, start_command

PNG = b"\x89PNG\r\n"
TINY = [
    "experiment=debug", "total_timesteps=250", "env.workers=0", "hardware.threads=1", "rating.enabled=false",
    "objective=touches", "hydra.sweep.dir=sweep",
]  # fmt: skip


def installed(launcher: str) -> bool:
    return importlib.util.find_spec(f"hydra_plugins.hydra_{launcher}") is not None


def needs(launcher: str, extra: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed(launcher), reason=f'needs pip install -e ".[{extra}]"')


def made(root: Path, number: int, overrides: list[str], **result: Any) -> None:
    """The directory of a job as Hydra and a run leave it; without `result`, of one that did not come to its end."""
    folder = root / str(number)
    (folder / ".hydra").mkdir(parents=True)
    hydra = {"job": {"num": number}, "overrides": {"task": overrides}}
    (folder / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": hydra}), encoding="utf-8")  # JSON is YAML
    if result:
        document = {"status": "finished", "objective": "rating", "touches": 0.5, "timesteps": 1000, **result}
        (folder / RESULT).write_text(json.dumps(document), encoding="utf-8")


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "sweep.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_from_best_to_worst(tmp_path: Path) -> None:
    name = f"user.name='\u0141ukasz {'x' * 100}'"
    made(tmp_path, 0, ["experiment=debug", "learner.gamma=0.98", "reward=touch"], value=10.0, rating=10.0)
    made(tmp_path, 1, ["experiment=debug", "learner.gamma=0.99", "reward=score", name], value=30.0, rating=30.0)
    made(tmp_path, 2, ["experiment=debug", "learner.gamma=0.995", "reward=touch"], value=99.0, status="stopped")
    made(tmp_path, 3, ["experiment=debug", "learner.gamma=0.95", "reward=full"])  # killed
    made(tmp_path, 10, ["experiment=debug", "learner.gamma=0.9", "reward=full"], value={"$float": "nan"})
    failure = {"job": 4, "overrides": ["learner.gamma=2"], "error": "learner.gamma=2: must be at most 1"}
    (tmp_path / FAILURES).write_text(json.dumps(failure) + "\n", encoding="utf-8")
    lines = report(tmp_path)
    assert lines[0] == "[OK] Jobs of the sweep: 3 finished, 2 stopped, 1 failed; highest rating first"
    assert lines[1].split() == [
        "job",
        "status",
        "rating",
        "experiment",
        "gamma",
        "reward",
        "name",
        "touches",
        "timesteps",
    ]
    cells = [line.split() for line in lines[2:8]]
    assert [each[0] for each in cells] == ["1", "0", "10", "2", "3", "4"]
    assert cells[1] == ["0", "finished", "10", "debug", "0.98", "touch", "-", "0.5", "1000"]
    assert cells[4] == ["3", "stopped", "-", "debug", "0.95", "full", "-", "-", "-"]
    assert cells[5] == ["4", "failed", "-", "-", "2", "-", "-", "-", "-"]
    assert all(len(line) < 140 for line in lines[1:8])  # the long name is cut
    assert lines[8] == f"[OK] Best: job 1, rating 30, in {tmp_path / '1'}"
    command = lines[9].partition(": ")[2]
    if os.name != "nt":
        assert shlex.split(command)[3:] == ["experiment=debug", "learner.gamma=0.99", "reward=score", name]
    first, *_, last = rows(tmp_path)
    assert (first["job"], first["value"], first["learner.gamma"]) == ("1", "30.0", "0.99")
    assert first["user.name"] == name.partition("=")[2]
    assert (last["job"], last["status"], last["directory"]) == ("4", "failed", "")
    assert last["error"] == failure["error"]
    assert (tmp_path / "sweep.png").read_bytes().startswith(PNG)


def test_what_mattered(tmp_path: Path) -> None:
    """World correlation by hand: gamma orders the jobs but for two neighbours; 1 - 6 * (1 + 1) / (5 * 24) = 0.9."""
    for number, (gamma, reward, value) in enumerate(
        [(0.9, "a", 1.0), (0.91, "b", 2.0), (0.92, "a", 4.0), (0.93, "b", 3.0), (0.94, "b", 5.0)]
    ):
        made(tmp_path, number, [f"learner.gamma={gamma}", f"reward={reward}"], value=value)
    lines = report(tmp_path)
    at = next(i for i, line in enumerate(lines) if "What went with" in line)
    assert lines[at].endswith("rating in 5 jobs; by chance alone rank correlations reach +-0.98")
    assert lines[at + 1].split() == ["gamma", "+0.90"]
    assert lines[at + 2].split(maxsplit=1) == ["reward", "b 3.333 (mean of 3), a 2.5 (mean of 2)"]
    assert spearman([1, 2, 2, 4], [1, 3, 2, 4]) == pytest.approx(4.5 / 22.5**0.5)  # ties share the rank 2.5
    assert spearman([1, 1, 1], [1, 2, 3]) == 0.0


def test_a_sweep_of_one_job_has_a_table_and_no_plot(tmp_path: Path) -> None:
    made(tmp_path, 0, ["seed=1"], value=None)
    assert [line for line in report(tmp_path) if "Best" in line] == []
    made(tmp_path, 1, ["seed=1"], value=2.0)
    assert any("Best: job 1" in line for line in report(tmp_path))
    assert (tmp_path / "sweep.csv").exists() and not (tmp_path / "sweep.png").exists()


def test_many_jobs_are_cut_on_the_console_only(tmp_path: Path) -> None:
    for number in range(25):
        made(tmp_path, number, [f"seed={number}", f"model={'ab'[number % 2]}$_{number}"], value=float(number))
    lines = report(tmp_path)
    assert "  and 5 more in sweep.csv" in lines and len(rows(tmp_path)) == 25
    assert (tmp_path / "sweep.png").read_bytes().startswith(PNG)


def test_nothing_is_written_where_no_job_left_a_result(tmp_path: Path) -> None:
    made(tmp_path, 0, ["seed=1"])
    assert report(tmp_path) == [] and not (tmp_path / "sweep.csv").exists()
    assert [job.status for job in collect(tmp_path)] == ["stopped"]


def test_the_axes_of_the_plot() -> None:
    wide = axis_of(["1e-4", "1e-3", "1e-2"])
    assert wide.log and wide.places == pytest.approx([0, 0.5, 1])
    assert [label for _, label in wide.ticks] == ["0.0001", "0.001", "0.01"]
    narrow = axis_of(["1", "2", "5"])
    assert not narrow.log and narrow.places == pytest.approx([0, 0.25, 1])
    assert axis_of(["7", "7"]).places == [0.5, 0.5]
    assert axis_of(["null", "0.5", "null"]).places == [1.0, 0.0, 1.0]  # not all are numbers
    assert len(axis_of([str(x) for x in range(100)]).ticks) == 5


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "sweep").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_compose_or_say_what_to_install(path: Path) -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    options = re.findall(r"override /(hydra/(?:launcher|sweeper)): (\w+)", path.read_text(encoding="utf-8"))
    extras = {EXTRAS[f"{group}={option}"] for group, option in options}
    assert all(re.search(rf"^{extra} = \[", pyproject, re.MULTILINE) for extra in extras)
    if path.stem == "ray" and not installed("ray_launcher"):  # the others belong to the extra dev
        with pytest.raises(ConfigError) as caught:
            compose(["+sweep=ray"])
        told = "hydra/launcher=ray: is not installed yet; in a checkout of this project: "
        assert str(caught.value) == told + 'python -m pip install -c constraints.txt -e ".[ray]"'
    else:
        compose([f"+sweep={path.stem}"])


def test_every_objective_is_measured() -> None:
    assert {*OBJECTIVES, "rating"} == set(TrainConfig.__annotations__["objective"].__args__)


def test_mistakes_in_a_sweep_leave_nothing(tmp_path: Path) -> None:
    for arguments, told in (
        (
            ["+sweep=optuna_ppo"],
            "[ERROR] +sweep: a search over learner.learning_rate, learner.entropy_coef, ... needs -m",
        ),
        (["-m", "sweep=joblib", "seed=1,2"], "[ERROR] sweep: a recipe for a sweep is added, +sweep=NAME with -m"),
    ):
        status, out, err = run_command(tmp_path, "rlbot.train", *arguments)
        assert (status, out) == (1, "") and err.startswith(told) and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@needs("optuna_sweeper", "sweep")
def test_a_search_with_optuna(tmp_path: Path) -> None:
    search = ["+sweep=optuna_ppo", "hydra.sweeper.n_trials=2", "learner.minibatch_size=choice(32, 64)"]
    status, out, err = run_command(tmp_path, "rlbot.train", "-m", *search, *TINY)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert "[OK] Jobs of the sweep: 2 finished; highest touches first" in lines
    made = rows(tmp_path / "sweep")
    rates = [float(row["learner.learning_rate"]) for row in made]
    assert len(set(rates)) == 2 and all(1e-4 <= rate <= 2e-3 for rate in rates)
    assert {row["learner.minibatch_size"] for row in made if "learner.minibatch_size" in row} <= {"32", "64"}
    best = json.loads((tmp_path / "sweep" / made[0]["job"] / RESULT).read_text(encoding="utf-8"))
    assert best["status"] == "finished" and best["timesteps"] == 256 and best["rating"] is None
    assert best["value"] == best["touches"] == float(made[0]["value"])
    found = (tmp_path / "sweep" / "optimization_results.yaml").read_text(encoding="utf-8")
    assert f"learner.learning_rate: {made[0]['learner.learning_rate']}" in found  # Optuna was told the same
    (again,) = (line.partition(": ")[2] for line in lines if line.startswith("[OK] To repeat it"))
    assert "+sweep=optuna_ppo" in again and f"learner.learning_rate={made[0]['learner.learning_rate']}" in again
    assert (tmp_path / "sweep" / "sweep.png").read_bytes().startswith(PNG)


@pytest.mark.slow
@needs("joblib_launcher", "sweep")
def test_jobs_at_once_with_joblib(tmp_path: Path) -> None:
    swept = ["+sweep=joblib", *TINY, "objective=reward", "reward.terms.touch=1,2,nonsense"]
    status, out, err = run_command(tmp_path, "rlbot.train", "-m", *swept)
    assert status == 1 and len(err.splitlines()) == 1  # nothing but ours, joblib's warnings neither
    assert err.startswith("[ERROR] job 2 (+sweep=joblib ") and "reward.terms.touch=nonsense: must be a number" in err
    assert "[WARN] objective=reward while reward.terms.touch changes: " in out
    assert "[OK] Jobs of the sweep: 2 finished, 1 failed; highest reward first" in out.splitlines()
    assert [row["status"] for row in rows(tmp_path / "sweep")] == ["finished", "finished", "failed"]


@pytest.mark.slow
@needs("submitit_launcher", "slurm")
@pytest.mark.skipif(os.name == "nt", reason="submitit is not for Windows")
def test_jobs_of_submitit(tmp_path: Path) -> None:
    status, out, err = run_command(
        tmp_path, "rlbot.train", "-m", "+sweep=slurm", "hydra/launcher=submitit_local", *TINY, "seed=1,2"
    )
    assert (status, err) == (0, "")
    assert "[OK] Jobs of the sweep: 2 finished; highest touches first" in out.splitlines()
    assert (tmp_path / "sweep" / "sweep.png").read_bytes().startswith(PNG)


@pytest.mark.slow
@needs("ray_launcher", "ray")
def test_jobs_on_ray(tmp_path: Path) -> None:
    status, out, _ = run_command(tmp_path, "rlbot.train", "-m", "+sweep=ray", *TINY, "seed=1,2")
    assert status == 0
    assert "[OK] Jobs of the sweep: 2 finished; highest touches first" in out.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal for one process")
def test_ctrl_c_leaves_the_table_of_the_jobs_until_then(tmp_path: Path) -> None:
    process = start_command(tmp_path, "rlbot.train", "-m", *TINY, "total_timesteps=1000,1_000_000,1001")
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "] Timestep: " in line and "/1000000" in line:
            process.send_signal(signal.SIGINT)
            break
    status, out, err = ended(process)
    assert status == 130 and "[ERROR] interrupted" in err.splitlines()
    assert "[OK] Jobs of the sweep: 1 finished, 1 stopped; highest touches first" in (seen + out).splitlines()
    status, again, _ = run_command(tmp_path, "rlbot.sweep", "sweep")
    assert (
        status == 0 and again.splitlines()[0] == "[OK] Jobs of the sweep: 1 finished, 1 stopped; highest touches first"
    )
