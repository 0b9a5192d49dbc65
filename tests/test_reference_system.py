"""docs/reference-system.md: every example and every command of the page, run in a folder of its own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "reference-system.md"
if not FILE.is_file():
    pytest.skip("needs a checkout, with docs/", allow_module_level=True)
PAGE = FILE.read_text(encoding="utf-8")
QUICK = ["env.workers=0", "hardware.threads=1", "hardware.device=cpu", "rating.enabled=false"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reference")


def python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    return done.stdout.decode("ascii")  # fails if anything that a user sees is not ASCII


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL), ids=["gym", "sb3", "amp"])
def test_the_examples(folder: Path, example: str) -> None:
    if "stable_baselines3" in example:
        pytest.importorskip("stable_baselines3", reason="needs stable-baselines3")
    python(folder, "-c", example)


def test_the_files_that_are_named_exist() -> None:
    named = re.findall(r"`(tests/\S+\.py)`", PAGE)
    assert named and all((ROOT / name).is_file() for name in named)


def test_the_three_stages_and_the_base_values(folder: Path) -> None:
    shown = python(folder, "-m", *commands("curriculum=three_stage"))
    assert re.findall(r"until: (\S+)", shown) == ["2000000", "3500000", "null"]
    assert re.findall(r"(\dv\d): 1.0", shown) == ["1v1", "1v2", "2v2"]
    assert re.findall(r"opponent: (\S+)", shown) == ["self", "past", "self"]
    base = python(folder, "-m", *commands("experiment=reference"))
    for value in (
        "total_timesteps: 5000000", "batch_size: 32768", "learning_rate: 0.0008", "num_envs: 8",
        "checkpoint_interval: 250000", "keep_best: 5",
    ):  # fmt: skip
        assert f"{value}\n" in base, value


def test_a_run_shows_what_the_page_says_and_goes_on(folder: Path) -> None:
    shown = python(folder, "-m", *commands("user.name=Ada"), *QUICK)
    for line in (
        "[OK] Curriculum restricted to 1v1, 1v2, 2v2",
        "[OK] Multi-environment check: 2 environments",
        "[OK] User: Ada",
        "[OK] Device: cpu",
        "[OK] Mixed precision: ",
        "[OK] Number of environments: 2",
        "[OK] Vectorized: ",
        "[OK] Model parameters: ",
        "[OK] Batch size: 256",
        "[OK] Learning rate: 0.0006",
        "[OK] Checkpoint interval: 500 timesteps",
        "timesteps/sec",
        "[OK] Checkpoint saved at ",
    ):
        assert line in shown, line
    assert "Resumed at" in python(folder, "-m", *commands("resume=latest"), *QUICK[:3])
    python(folder, "-m", *commands("debug=true"), *QUICK)


def test_validation(folder: Path) -> None:
    assert "Tests Failed: 0" in python(folder, "-m", *commands("rlbot.validate"))


def commands(*words: str) -> list[str]:
    """The module and the arguments of the one command on the page that has all of these words."""
    found = {line for line in re.findall(r"`python -m (rlbot[^`]*)`", PAGE) if all(word in line for word in words)}
    (line,) = sorted(found, key=len)[:1]
    return shlex.split(line)
