"""The commands in real processes: run to the end, or watched, signalled and killed while they train."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rlbot

ROOT = Path(rlbot.__file__).parents[1]
PATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])  # of the commands' own modules
PATIENCE = 300.0  # s until a test gives up; long, because the machine may be busy
LONG = "total_timesteps=1_000_000_000"


def start_command(folder: Path, *command: str, **environment: str) -> "subprocess.Popen[str]":
    """Starts `python -m COMMAND` in a folder. Its output is encoded as on Western Windows (cp1252)."""
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PATH, "PYTHONIOENCODING": "cp1252", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(folder: Path, *command: str, **environment: str) -> tuple[int, str, str]:
    """Runs `python -m COMMAND` in a folder. Returns exit status, stdout and stderr."""
    return ended(start_command(folder, *command, **environment))


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Waits for the end of a process. Returns exit status, stdout and stderr."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


class Training:
    """A training in its own session (not on Windows), and the lines that it has printed so far."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rlbot.train", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": PATH, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def having(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]

    def until(self, happened: Callable[[], object], what: str, pause: float = 0.02) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert self.process.poll() is None and time.monotonic() < deadline, (what, self.lines[-20:])
            time.sleep(pause)

    def says(self, text: str, again: bool = False) -> None:
        """Waits for a line that contains `text`; with `again`, for one more of them."""
        seen = len(self.having(text)) if again else 0
        self.until(lambda: len(self.having(text)) > seen, text)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def status(self) -> int:
        """Waits for the end and returns the exit status. Fails if a process of the run is left."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.orphans() == []
        return status

    def kill(self) -> None:
        self.process.kill()
        self.status()

    def orphans(self) -> list[psutil.Process]:
        """Returns the processes of the run that are still there 60 s after its end."""
        deadline = time.monotonic() + 60
        while (left := self._session()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def _session(self) -> list[psutil.Process]:
        if sys.platform == "win32":
            return []
        left = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    left.append(process)
            except (OSError, psutil.Error):
                continue
        return left


def needs(number: int) -> None:
    """Skips the test if the signal is ignored, because pytest was started in that way."""
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("pytest was started with this signal ignored, as nohup and background jobs are")


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns the curves of a run as TensorBoard reads them: (timesteps, value) by name."""
    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(point.step, point.value) for point in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


Launch = Callable[..., Training]
