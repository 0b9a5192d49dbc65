"""Being asked to stop, once and twice, and processes that leave that to their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rlbot.processes.signals import stop_on_signals
from tests.launching import needs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to another process")
SIGHUP = getattr(signal, "SIGHUP", 1)  # not on Windows
PROGRAM = """
import sys, time
from rlbot.processes.signals import stop_on_signals
from rlbot.processes.spawn import ChildProcess

def sleep(parent):
    time.sleep(600)

if __name__ == "__main__":
    with stop_on_signals() as asked:
        child = ChildProcess(sleep, name="sleeper")
        print(child.process.pid, flush=True)
        while not asked():
            time.sleep(0.01)
        print("asked", flush=True)
        while True:  # a signal that comes to another thread does not wake this one
            time.sleep(0.1)
"""


@pytest.fixture
def program(tmp_path: Path) -> "subprocess.Popen[str]":
    for number in (signal.SIGINT, SIGHUP):
        needs(number)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, SIGHUP])
def test_a_signal_to_everybody_is_the_parents_alone(program: "subprocess.Popen[str]", number: int) -> None:
    assert program.stdout is not None
    child = psutil.Process(int(program.stdout.readline()))
    os.killpg(program.pid, number)  # the child has only begun to start
    assert program.stdout.readline() == "asked\n"
    time.sleep(0.3)
    assert child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=300)
    assert program.returncode == -signal.SIGINT and err.count("[OK] Stopping after this iteration") == 1
    assert "KeyboardInterrupt" in err
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def test_handlers_come_back_and_ignored_signals_stay_so() -> None:
    before = signal.signal(SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        usual = signal.getsignal(signal.SIGTERM)
        with stop_on_signals() as asked:
            assert signal.getsignal(signal.SIGTERM) is not usual
            os.kill(os.getpid(), SIGHUP)
            assert not asked()
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked()
        assert signal.getsignal(signal.SIGTERM) is usual and signal.getsignal(SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(SIGHUP, before)
