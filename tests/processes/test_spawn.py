"""Child processes: what they answer, and that none is left whatever it or its parent does; by real kills."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from rlbot.processes.spawn import ChildDied, ChildProcess, ChildTraceback, Parent, wait_any

ROOT = Path(__file__).parents[2]
KILLED = 1 if sys.platform == "win32" else -9  # exit code
LONG = 60.0  # s


class Odd(Exception):
    """Cannot be pickled: it is made of two values and keeps one."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def compute(request: Any) -> Any:
    if request == "refuse":
        raise ValueError("a bad", "value")
    if request == "odd":
        raise Odd("not ", "pickled")
    if request == "lock":
        return threading.Lock()
    if request == "sleep":
        time.sleep(LONG)
    return request


def serve(parent: Parent) -> None:
    for request in parent.requests():
        parent.answer(partial(compute, request))


def fails(parent: Parent) -> None:
    parent.send("begun")
    raise OSError("no more")


Start = Callable[[Callable[..., None]], ChildProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[ChildProcess] = []

    def child(main: Callable[..., None]) -> ChildProcess:
        started.append(ChildProcess(main, name=f"child {len(started)}"))
        return started[-1]

    yield child
    for each in started:
        each.close()
        assert not each.process.is_alive()


def test_a_child_answers_with_a_value_or_with_what_it_raised_and_goes_on(start: Start) -> None:
    child = start(serve)
    child.send([1, 2])
    assert child.receive() == [1, 2] and not child.wait(0.0)
    child.send("refuse")
    with pytest.raises(ValueError, match="a bad") as refused:
        child.receive()
    assert refused.value.args == ("a bad", "value")
    assert isinstance(refused.value.__cause__, ChildTraceback) and "in compute" in str(refused.value.__cause__)
    child.send("odd")
    with pytest.raises(RuntimeError, match=r"^Odd: not pickled$"):
        child.receive()
    child.send("lock")
    with pytest.raises(TypeError, match="pickle"):
        child.receive()
    child.send("still here")
    assert child.wait(LONG) and child.receive() == "still here"


def test_the_last_answer_of_a_child_that_fails_is_why(start: Start) -> None:
    child = start(fails)
    assert child.receive() == "begun"
    with pytest.raises(OSError, match="no more"):
        child.receive()
    with pytest.raises(ChildDied, match=r"^child 0 \(process \d+\) ended with exit code 0$"):
        child.receive()


def test_an_error_names_a_child_that_was_killed(start: Start) -> None:
    busy, dead, idle = (start(serve) for _ in range(3))
    busy.send("sleep")
    dead.send("sleep")
    idle.send("answer")
    assert wait_any([busy, dead, idle]) == [idle]
    dead.process.kill()
    assert wait_any([busy, dead]) == [dead]
    for ask in (dead.receive, lambda: [dead.send("more") for _ in range(2)]):
        with pytest.raises(ChildDied, match=rf"^child 1 \(process {dead.process.pid}\) ended with exit code {KILLED}$"):
            ask()
    assert not busy.wait(0.0) and idle.receive() == "answer"


def test_a_child_that_is_hung_up_on_ends_by_itself(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """Also with an answer in the pipe that nobody reads."""
    waiting, answering = start(serve), start(serve)
    answering.send("x" * 10_000_000)  # more than a pipe holds
    time.sleep(0.5)
    for child in (waiting, answering):
        child.hang_up()
        child.process.join(LONG)
        assert child.process.exitcode == 0
    assert capfd.readouterr() == ("", "")


PROGRAM = """
import os, sys, time
from rlbot.processes.spawn import ChildProcess

def idle(parent):
    parent.send(os.getpid())
    list(parent.requests())

def compute(parent):
    parent.send(os.getpid())
    while True:
        pass

def family(parent):
    child = ChildProcess(compute, name="grandchild")
    parent.send((os.getpid(), child.receive()))
    time.sleep(600)

def leaves_one(parent):
    child = ChildProcess(compute, name="grandchild")
    parent.send(child.receive())

if __name__ == "__main__":
    children = [ChildProcess(main, name=main.__name__) for main in (idle, compute, family, leaves_one)]
    print(*(child.receive() for child in children), flush=True)
    {end}
"""


@pytest.mark.parametrize("end", ["time.sleep(600)", "pass", "raise SystemExit(3)", "os._exit(4)"])
def test_no_child_and_no_grandchild_outlives_a_parent(tmp_path: Path, end: str) -> None:
    """time.sleep: the parent is killed."""
    (tmp_path / "program.py").write_text(PROGRAM.format(end=end), encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    family = [int(pid.strip("(),")) for pid in parent.stdout.readline().split()]
    assert len(family) == 5
    left = []
    for pid in family:
        with suppress(psutil.NoSuchProcess):  # it may have ended already
            left.append(psutil.Process(pid))
    if end == "time.sleep(600)":
        assert len(left) >= 4
        parent.kill()
    _, told = parent.communicate(timeout=LONG)
    assert parent.returncode == {"time.sleep(600)": KILLED, "pass": 0, "raise SystemExit(3)": 3, "os._exit(4)": 4}[end]
    _, alive = psutil.wait_procs(left, timeout=LONG)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == [] and told == ""
