"""Whatever is typed or written wrongly: status 1, one to three lines that name it, nothing left behind."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import rlbot
import rlbot.watch.__main__ as watch
from rlbot import evaluate, train, validate
from rlbot.export import __main__ as export
from rlbot.settings import command
from rlbot.settings.command import Guard
from tests.inputs import world
from tests.inputs.malformed import ALONE, BUILT, CASES, COMPOSED, Case
from tests.policy.test_bot import write

ROOT = Path(rlbot.__file__).parents[1]
MODULES = {name: f"rlbot.{name}" for name in ("train", "evaluate", "watch", "bench", "export", "validate")}


def listing(folder: Path) -> set[str]:
    return {path.as_posix() for path in folder.rglob("*") if "__pycache__" not in path.parts}


def check(case: Case, status: object, out: str, err: str) -> None:
    lines = err.splitlines()
    assert (status, out) == (1, "") or out.startswith("[START] "), (status, out, err)
    assert 1 <= len(lines) <= 3, err
    assert all(line.startswith("[ERROR] ") and len(line) <= 510 for line in lines), err
    assert all(" " <= sign <= "~" for line in lines for sign in line), err
    assert case.expected in err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world, with a run that was written but never trained, which is enough for errors before a run continues."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "run").mkdir()
    write(folder / "run" / "checkpoints")
    (folder / "run" / "tensorboard").mkdir()
    (folder / "world").mkdir()
    world.build(folder / "world", folder / "run")
    return folder / "world"


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(folder)
    for name, value in {"root": None, "made": None, "multirun": False, "verbose": False}.items():
        monkeypatch.setattr(Guard, name, value)
    before = listing(folder)
    yield folder
    assert listing(folder) == before


def run(case: Case, main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *case.arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    check(case, stop.value.code, *capsys.readouterr())


def one_of(every: int, cases: Sequence[Case]) -> list[Any]:
    """The cases, of which all but one of so many are slow tests."""
    marks = [() if number % every == 0 else pytest.mark.slow for number in range(len(cases))]
    return [pytest.param(case, marks=mark, id=str(case)) for case, mark in zip(cases, marks, strict=True)]


@pytest.mark.parametrize("case", one_of(4, COMPOSED))
def test_malformed_settings(
    case: Case, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(case, lambda: command.run(lambda config, directory: None, case.command), monkeypatch, capsys)


@pytest.mark.parametrize("case", one_of(12, BUILT))
def test_what_cannot_be_built(
    case: Case, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mains = {
        "train": lambda: command.run(train.main, "train"),
        "evaluate": lambda: command.run(evaluate.main, "evaluate"),
        "export": lambda: command.run(export.main, "export"),
        "watch": lambda: command.run(watch.main, "watch"),
        "validate": validate.main,
    }
    run(case, mains[case.command], monkeypatch, capsys)


def process(case: Case, folder: Path, **environment: str) -> tuple[int, str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HYDRA_", "PYTHONUTF8"))}
    done = subprocess.run(
        [sys.executable, "-m", MODULES[case.command], *case.arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252", **case.environment, **environment},
        capture_output=True,
        encoding="cp1252",
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    arguments = ["experiment=debug", "curriculum=duel", "total_timesteps=256", "env.workers=0", "rating.enabled=false"]
    status, _, err = process(Case([*arguments, "hydra.run.dir=run"], ""), folder)
    assert status == 0, err
    (folder / "world").mkdir()
    world.build(folder / "world", folder / "run")
    return folder / "world"


@pytest.mark.slow
def test_every_case_in_a_process_of_its_own(trained: Path) -> None:
    assert len(CASES) > 500 and ALONE[0] in CASES
    before = listing(trained)
    problems = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda case: process(case, trained), CASES[: -len(ALONE)]))
    results += [process(case, trained) for case in ALONE]  # some of them go on with the same run
    for case, result in zip(CASES, results, strict=True):
        try:
            check(case, *result)
        except AssertionError as error:
            problems.append(f"{case}: {error}")
    assert not problems, "\n\n".join(problems)
    assert listing(trained) == before


@pytest.mark.slow
@pytest.mark.parametrize("case", [COMPOSED[0], BUILT[0], BUILT[-20]], ids=str)
def test_a_traceback_is_shown_where_it_is_wanted(trained: Path, case: Case) -> None:
    for arguments, environment in (([*case.arguments, "debug=true"], {}), (case.arguments, {"HYDRA_FULL_ERROR": "1"})):
        status, _, err = process(Case(arguments, case.expected, case.command), trained, **environment)
        assert status == 1 and err.isascii()
        assert "Traceback" in err and case.expected in err
