"""What a user sees: lines instead of tracebacks, no directory left behind, jobs that fail on their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins

from rlbot.settings import command

PROGRAM = """
import sys
from rlbot.settings import command, errors

def main(config, directory):
    with errors.building():
        if config.seed == 13:
            (directory / "run.json").write_text("made while building")
            raise ValueError("seed=13: brings bad luck;\\ntake another")
        if config.seed == 130:
            raise KeyboardInterrupt
    if config.seed == 14:
        raise ValueError("a fault of ours")
    (directory / "result.txt").write_text(config.user.name, encoding="utf-8")
    return float(config.seed)

if __name__ == "__main__":
    command.run(main, "train")
    print("after")
"""


def ids(value: object) -> str:
    return " ".join(value)[:40].encode("ascii", "replace").decode() if isinstance(value, list) else ""


class Program:
    """A command of a few lines, run in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.file = folder / "program.py"
        self.file.write_text(PROGRAM, encoding="utf-8")

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        root = str(Path(command.__file__).parents[2])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
        return subprocess.Popen(
            [sys.executable, str(self.file), *arguments],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": root, "PYTHONIOENCODING": "cp1252", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*"))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["learner.batch_siz=3"],
            "[ERROR] learner.batch_siz: no such setting; did you mean learner.batch_size?",
        ),
        (["env=socar"], "[ERROR] env=socar: no such option of env; there are: soccar"),
        (
            ["seed=-1", "keep_best=x"],
            "[ERROR] seed=-1: must be at least 0\n[ERROR] keep_best=x: must be a whole",
        ),
        (["seed=13"], "[ERROR] seed=13: brings bad luck;\n[ERROR] take another"),
        (["user.name=\u0141ukasz"], "[ERROR] user.name=\\u0141ukasz: letters beyond ASCII"),
        (["--multrun", "seed=1"], "[ERROR] unrecognized arguments: --multrun"),
        (["--config-name", "nonsense"], "[ERROR] Cannot find primary config 'nonsense'"),
        (["hydra.run.dir=${xyzzy}"], "[ERROR] "),
        (["-m", "seed=1,2", "env=socar"], "[ERROR] env=socar: no such option of env"),
        (["-m", "env=soccar,nonsense"], "[ERROR] env=nonsense: no such option of env"),
        (
            ["-m", "seed=-1,13"],
            "[ERROR] job 0 (seed=-1): seed=-1: must be at least 0\n[ERROR] job 1 (seed=13): seed=13",
        ),
    ],
    ids=ids,
)
def test_a_mistake_costs_lines_and_leaves_nothing(program: Program, arguments: list[str], expected: str) -> None:
    status, _, err = program.run(*arguments)
    lines = err.splitlines()
    assert status == 1
    assert expected in err
    assert 1 <= len(lines) <= 3
    assert all(line.startswith("[ERROR] ") and line.isascii() for line in lines)
    assert program.left() == []


def test_a_run_leaves_its_directory_and_goes_on(program: Program) -> None:
    both = [program.start("user.name='\u0141ukasz'"), program.start("user.name='\u0141ukasz'")]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out, err) == (0, "after\n", "")
    results = list(program.folder.glob("outputs/*/*/result.txt"))
    assert [path.read_text(encoding="utf-8") for path in results] == ["\u0141ukasz"] * 2  # started at the same time
    assert not list(program.folder.rglob("*.log"))


def test_runs_that_start_at_the_same_moment_get_directories_of_their_own(program: Program) -> None:
    clock = "import datetime, hydra.core.utils\nclass Clock:\n    now = lambda: datetime.datetime(2026, 1, 1)\n"
    program.file.write_text(f"{clock}hydra.core.utils.datetime = Clock\n{PROGRAM}")
    for arguments in (["seed=1"], ["seed=2"], ["-m", "seed=3"], ["-m", "seed=4"]):
        assert program.run(*arguments)[0] == 0
    results = [path.relative_to(program.folder).parent.as_posix() for path in program.folder.rglob("result.txt")]
    assert sorted(results) == [
        "multirun/2026-01-01/00-00-00-000000-2/0",
        "multirun/2026-01-01/00-00-00-000000/0",
        "outputs/2026-01-01/00-00-00-000000",
        "outputs/2026-01-01/00-00-00-000000-2",
    ]


@pytest.mark.parametrize("seed", ["-1", "13"])
def test_a_directory_that_was_there_is_not_touched(program: Program, seed: str) -> None:
    mine = program.folder / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    status, _, _ = program.run(f"seed={seed}", "hydra.run.dir=mine")
    assert status == 1
    assert (mine / "notes.txt").read_text() == "keep"
    assert (mine / ".hydra").exists() == (seed == "13")  # settings are checked before Hydra writes there


def test_a_crash_shows_where_and_keeps_the_directory(program: Program) -> None:
    status, _, err = program.run("seed=14")
    assert status == 1
    assert "Traceback" in err
    assert err.splitlines()[-1] == "[ERROR] ValueError: a fault of ours"
    assert "overrides.yaml" in program.left()


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_a_traceback_is_shown_where_it_is_wanted(program: Program, where: str) -> None:
    if where == "argument":
        status, _, err = program.run("seed=13", "debug=true")
    else:
        status, _, err = program.run("seed=13", HYDRA_FULL_ERROR="1")
    assert status == 1
    assert "Traceback" in err
    assert "[ERROR] seed=13: brings bad luck" in err
    assert program.left() == []


def test_an_interrupt_while_building(program: Program) -> None:
    assert program.run("seed=130") == (130, "", "[ERROR] interrupted\n")
    assert program.left() == []


def test_a_failing_job_leaves_the_others_alone(program: Program) -> None:
    status, out, err = program.run("--multirun", "seed=1,13,14,2")
    assert status == 1
    assert [line for line in out.splitlines() if line] == [
        f"[START] Job {i}: seed={s}" for i, s in enumerate([1, 13, 14, 2])
    ]
    assert err.splitlines()[-2:] == [
        "[ERROR] job 1 (seed=13): seed=13: brings bad luck;; take another",
        "[ERROR] job 2 (seed=14): ValueError: a fault of ours",
    ]
    (sweep,) = program.folder.glob("multirun/*/*")
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == [
        "0",
        "2",
        "3",
    ]  # 2 crashed: it stays
    assert [json.loads(line)["job"] for line in (sweep / command.FAILURES).read_text().splitlines()] == [1, 2]


def test_what_main_returns_reaches_the_sweeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Plugins.instance()  # loads the module of the sweeper anew
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    returned = []
    sweep = BasicSweeper.sweep

    def spy(self: BasicSweeper, arguments: list[str]) -> object:
        batches = sweep(self, arguments)
        returned.extend(job.return_value for batch in batches for job in batch)
        return batches

    monkeypatch.setattr(BasicSweeper, "sweep", spy)
    monkeypatch.setattr(sys, "argv", ["program", "-m", "seed=4,-1,5"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        command.run(lambda config, directory: config.seed / 2)
    assert returned == [2.0, None, 2.5]


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"], ["--info", "defaults"], ["--hydra-help"]])
def test_the_flags_of_hydra_still_work(program: Program, flags: list[str]) -> None:
    status, out, err = program.run(*flags)
    assert (status, err) == (0, "")
    assert len(out) > 500
    assert program.left() == []


def test_a_mistake_is_answered_before_anything_heavy_is_imported(program: Program) -> None:
    program.file.write_text(
        PROGRAM.replace("command.run(", "import atexit; atexit.register(lambda: print(*sys.modules)); command.run(")
    )
    for mistake in ("learner.gama=1", "learner.gamma=2"):
        _, out, _ = program.run(mistake)
        assert "hydra.core" in out.split()
        assert not {"torch", "numba", "RocketSim", "tensorboard"} & set(out.split())
