"""The processes of a contestant: turns together, failures, and a death while the others wait."""

import os
import signal
import sys
import threading
import time
from functools import partial

import psutil
import pytest

from rlbot.bench import processes
from rlbot.bench.processes import ContestantProcesses
from rlbot.processes.spawn import ChildDied


class Steady:
    """Plays `rate` steps a second."""

    def __init__(self, rate: int) -> None:
        if rate < 0:
            raise ValueError(f"bench.rate={rate}")
        self._rate = rate

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        if what == "break":
            raise ZeroDivisionError(f"at {self._rate}")
        return round(self._rate * 10 * seconds), 10 * seconds

    def close(self) -> None:
        os.write(1, f"closed {self._rate}\n".encode())  # at once: print writes the end of the line by itself


def test_rates_add_up_and_contestants_are_closed(capfd: pytest.CaptureFixture[str]) -> None:
    with ContestantProcesses([partial(Steady, 100), partial(Steady, 20)], threads=1) as started:
        started.ready()
        assert started.play("", 0.5) == pytest.approx(120)
        assert all(own > 5 and children == [] for own, *children in started.peak_memory())
        with pytest.raises(ZeroDivisionError, match="at "):
            started.play("break", 0.5)
    out, err = capfd.readouterr()
    assert sorted(out.split("\n")) == ["", "closed 100", "closed 20"] and err == ""


def test_settings_that_a_contestant_refuses_are_told() -> None:
    started = ContestantProcesses([partial(Steady, 100), partial(Steady, -1)], threads=1)
    with started, pytest.raises(ValueError, match=r"^bench\.rate=-1$"):
        started.ready()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_process_that_dies_is_named_while_the_others_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LAST_TURN", 0.2)  # the others still wait for it
    with ContestantProcesses([partial(Steady, 1), partial(Steady, 2)], threads=1) as started:
        started.ready()
        left = [psutil.Process(child.process.pid) for child in started._children]
        os.kill(left[1].pid, signal.SIGSTOP)  # so that it does not take its turn
        killer = threading.Timer(1.0, left[1].kill)
        killer.start()
        began = time.monotonic()
        with pytest.raises(ChildDied, match=r"^bench process 1 \(process \d+\) ended with exit code -9$"):
            started.play("", 0.1)
        assert time.monotonic() - began < 60
        killer.join()
    assert not psutil.wait_procs(left, timeout=10)[1]
