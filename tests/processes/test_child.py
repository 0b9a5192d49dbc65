"""A module that is run as a child process ends with its parent, however that ends; by real kills."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import rlbot

ROOT = Path(rlbot.__file__).parents[1]
MODULE = "import os, sys, time\nprint(__name__, *sys.argv[1:], os.getpid(), flush=True)\ntime.sleep(60)\n"
PARENT = """
import subprocess, sys
command = [sys.executable, "-m", "rlbot.processes.child", "module", "one", "two"]
subprocess.Popen(command, stdin=subprocess.PIPE).wait()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "module.py").write_text(MODULE, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}


def test_it_ends_when_its_parent_is_killed(environment: dict[str, str]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    *arguments, number = parent.stdout.readline().split()
    assert arguments == ["__main__", "one", "two"]
    child = psutil.Process(int(number))
    parent.kill()
    child.wait(timeout=20)  # raises TimeoutExpired if it does not end
    parent.communicate(timeout=20)


def test_its_exit_status_and_output_are_those_of_the_module(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("import sys\nprint('done')\nsys.exit(3)\n", encoding="utf-8")
    command = [sys.executable, "-m", "rlbot.processes.child", "module"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.read() == "done\n"
        assert child.wait(timeout=20) == 3
