"""docs/other-libraries.md: every example of the page runs, in a process of its own."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "other-libraries.md"
if not FILE.is_file():
    pytest.skip("needs a checkout, with docs/", allow_module_level=True)
PAGE = FILE.read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## ([^\n]*)\n.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))  # by headings
NEEDS = {
    "PettingZoo": "pettingzoo",
    "stable-baselines3": "stable_baselines3",
    "TorchRL": "torchrl",
    "RLGym's parts": "rlgym",
    "RLGym's trainers": "rlgym",
}


def test_every_section_has_an_example() -> None:
    assert list(EXAMPLES) == re.findall(r"^## (.*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("heading", EXAMPLES)
def test_the_example_runs(heading: str, tmp_path: Path) -> None:
    if heading in NEEDS and find_spec(NEEDS[heading]) is None:
        pytest.skip(f"needs {NEEDS[heading]}")
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLES[heading]], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
