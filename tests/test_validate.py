"""The validator in real processes: all well here, and what it says and counts where something is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rlbot
from rlbot import validate
from rlbot.settings.config import config_dir
from rlbot.settings.schema import TrainConfig
from rlbot.validation import machine, options

ROOT = Path(rlbot.__file__).parents[1]


def run_validator(*arguments: str, path: str = "") -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, "-m", "rlbot.validate", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([path, str(ROOT)]), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def counts(lines: list[str]) -> tuple[int, int]:
    """(passed, failed), after checking that the summary counts the lines above it."""
    passed, failed = (sum(line.startswith(kind) for line in lines) for kind in ("[OK] ", "[ERROR] "))
    assert lines[-2:] == [f"Tests Passed: {passed}", f"Tests Failed: {failed}"]
    assert len(lines) == passed + failed + 2 and all(line.isascii() for line in lines)
    return passed, failed


def test_everything_passes_here() -> None:
    status, lines, err = run_validator()
    passed, failed = counts(lines)
    assert (status, failed, err) == (0, 0, "") and passed == len(list(validate.checks(None)))
    told = "\n".join(lines)
    for text in ("Box(-10.0, 10.0, (180,)", "duel, 1v1:", "outnumbered, 1v2:", "doubles, 2v2:"):
        assert text in told
    for file in config_dir().glob("*/*.yaml"):
        assert f"Setting {file.parent.name}={file.stem}:" in told or file.parent.name not in options.BUILDERS
    assert "Setting experiment=debug: composed" in told


def test_every_failure_is_a_line_and_the_other_checks_still_run(tmp_path: Path) -> None:
    """No meshes in the folder that is named, and a package that cannot be imported."""
    (tmp_path / "matplotlib.py").write_text("raise RuntimeError('broken\\nfor the test')")
    empty = tmp_path / "empty"
    empty.mkdir()
    status, lines, err = run_validator(f"env.collision_meshes={empty}", path=str(tmp_path))
    passed, failed = counts(lines)
    assert (status, err) == (1, "") and passed + failed == len(list(validate.checks(None)))
    wrong = [line.removeprefix("[ERROR] ").partition(": ")[0] for line in lines if line.startswith("[ERROR]")]
    assert wrong == [
        "Import matplotlib", "Collision meshes", "Gymnasium's checker", "Spaces", "Reset and step",
        *(f"Stage {i} of curriculum=three_stage" for i in range(3)), "Setting env=soccar",
        *(
            f"Setting curriculum={name}"
            for name in ("all_sizes", "doubles", "duel", "short", "three_stage", "three_stage_mixed")
        ),
    ]  # fmt: skip
    assert "[ERROR] Import matplotlib: RuntimeError('broken\\nfor the test')" in lines
    assert f"[ERROR] Collision meshes: env.collision_meshes={str(empty)!r}: no .cmf files" in "\n".join(lines)


def test_another_argument_is_refused() -> None:
    status, lines, err = run_validator("env.num_envs=3")
    assert (status, lines) == (1, []) and err.startswith("[ERROR] env.num_envs=3: the only setting here is")


def test_no_dependency_and_no_group_is_forgotten() -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [text.partition(">")[0].strip() for text in project["dependencies"]]
    assert sorted(machine.PACKAGES) == sorted(names)
    assert project["requires-python"] in Path(machine.__file__).read_text(encoding="utf-8")
    groups = {name for name in TrainConfig.__dataclass_fields__ if (config_dir() / name).is_dir()}
    assert groups == set(options.BUILDERS)
