"""Console lines in plain ASCII, for any terminal, pipe or code page. The same lines, with times, go to train.log."""

import math
import os
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import IO, TextIO, cast

from rich.console import Console as RichConsole
from rich.live import Live
from rich.text import Text

from rlbot.processes.text import printable
from rlbot.run.log import LogFile

_REDRAW_SECONDS = 0.1
_LABELS = {"timesteps": "Timestep", "matches": "Matches"}  # in front of the numbers of a progress line


class Console:
    """Prints lines and progress to `stream` (default: stdout) and appends them to `log_file`.

    A terminal shows a progress bar below the lines. Any other stream gets a plain progress line at most every
    `interval` seconds, and no control characters. Characters that are not printable ASCII become backslash escapes. If
    the stream or the log file fails, the run goes on. Threads may share one console. Use it as a context manager or
    call `close`, which removes the bar's hold on the terminal.
    """

    def __init__(self, log_file: Path | None = None, stream: TextIO | None = None, interval: float = 5.0) -> None:
        self._stream = _AsciiStream(sys.stdout if stream is None else stream)
        self._lock = threading.RLock()
        self.interval = interval  # may be changed
        self._next_line = self._next_draw = -math.inf
        self._last_progress = ""
        self._live: Live | None = None
        self._terminal = self._stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
        self._log = None if log_file is None else LogFile(Path(log_file))

    def line(self, text: str) -> None:
        """Prints `text`, which may have several lines, and writes it to the log with the time."""
        with self._lock:
            self._log_lines(text)
            self._print(text)

    def ok(self, text: str) -> None:
        self.line(f"[OK] {text}")

    def start(self, text: str) -> None:
        self.line(f"[START] {text}")

    def warn(self, text: str) -> None:
        self.line(f"[WARN] {text}")

    def error(self, text: str) -> None:
        self.line(f"[ERROR] {text}")

    def progress(self, timesteps: int, total: int, speed: float, details: str = "", unit: str = "timesteps") -> None:
        """Shows the progress: timesteps (or another unit) done, `total`, `speed` per second, and `details`."""
        text = progress_text(timesteps, total, speed, details, unit)
        with self._lock:
            now = time.monotonic()
            if self._terminal and (now >= self._next_draw or timesteps >= total):
                self._next_draw = now + _REDRAW_SECONDS
                self._draw(bar_text(timesteps, total, speed, details), timesteps / max(total, 1))
            self._last_progress = text
            if now >= self._next_line or timesteps >= total:
                self._next_line = now + self.interval
                self._progress_line()

    def close(self) -> None:
        """Stops the progress bar, which stays as it is on the terminal, and the log. Later lines are only printed."""
        with self._lock:
            if self._last_progress:
                self._progress_line()
            if self._live is not None:
                self._live.stop()
                self._live = None
            self._log = None

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _progress_line(self) -> None:
        if self._last_progress:
            self._log_lines(f"[OK] {self._last_progress}")
            if not self._terminal:
                self._print(f"[OK] {self._last_progress}")
        self._last_progress = ""

    def _print(self, text: str) -> None:
        for part in text.splitlines() or [""]:
            if self._live is not None:
                self._live.console.print(Text(printable(part)), soft_wrap=True)
            else:
                self._stream.write(printable(part) + "\n")
        self._stream.flush()

    def _draw(self, text: str, done: float) -> None:
        if self._live is None:
            console = RichConsole(
                file=cast(IO[str], self._stream), force_terminal=True, color_system=None, highlight=False
            )
            # print() of other code goes above the bar; stderr is left alone if it is a file
            self._live = Live(
                Text(""),
                console=console,
                auto_refresh=False,
                redirect_stdout=sys.stdout is self._stream.wrapped,
                redirect_stderr=bool(sys.stderr) and sys.stderr.isatty(),
            )
            self._live.start()
            console.show_cursor(True)  # a killed run must not leave a terminal without a cursor
        width = self._live.console.width - 1
        bar = progress_bar(done, min(30, width - len(text) - 1))
        line = Text(f"{bar} {text}".strip()[:width], no_wrap=True, overflow="crop")
        self._live.update(line, refresh=True)

    def _log_lines(self, text: str) -> None:
        if self._log is None:
            return
        now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        warning = self._log.write([f"{now} {printable(part)}" for part in text.splitlines() or [""]])
        if warning is not None:
            self._print(f"[WARN] {warning}; until it can be, lines are only printed")


class _AsciiStream:
    """A text stream that escapes characters that are not ASCII, and ignores a terminal that was closed."""

    encoding = "ascii"  # rich reads this, and then draws with ASCII only

    def __init__(self, wrapped: TextIO) -> None:
        self.wrapped = wrapped
        self._gone = wrapped is None  # a windowed Python has no stdout

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                self.wrapped.write(text.encode("ascii", "backslashreplace").decode("ascii"))
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._gone = True
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self.wrapped.flush()
            except (OSError, ValueError):
                self._gone = True

    def isatty(self) -> bool:
        return not self._gone and self.wrapped.isatty()

    def fileno(self) -> int:
        return self.wrapped.fileno()


def progress_text(timesteps: int, total: int, speed: float, details: str = "", unit: str = "timesteps") -> str:
    """Like "Timestep: 250000/5000000 (5.0%), 1234.5 timesteps/sec, reward 0.123, 1:04:08 left"."""
    done = f"{_LABELS[unit]}: {timesteps}/{total} ({_percent(timesteps, total)})"
    return ", ".join(
        filter(None, [done, f"{speed:.1f} {unit}/sec", details, f"{_duration(total - timesteps, speed)} left"])
    )


def bar_text(timesteps: int, total: int, speed: float, details: str = "") -> str:
    """Short enough for 80 columns: "5.0% 250000/5000000, 1234/s, reward 0.123, 1:04:08 left"."""
    done = f"{_percent(timesteps, total)} {timesteps}/{total}"
    left = f"{_duration(total - timesteps, speed)} left"
    return ", ".join(filter(None, [done, f"{speed:.0f}/s", details, left]))


def progress_bar(done: float, width: int) -> str:
    """A bar like "[####------]" of `width` characters, `done` in 0..1; "" if there is no room."""
    if width < 5:
        return ""
    filled = int(min(max(done, 0.0), 1.0) * (width - 2))
    return "[" + "#" * filled + "-" * (width - 2 - filled) + "]"


def _percent(timesteps: int, total: int) -> str:
    return f"{min(100.0, 100.0 * timesteps / max(total, 1)):.1f}%"


def _duration(timesteps: int, speed: float) -> str:
    if not speed > 0:
        return "?:??:??"
    minutes, seconds = divmod(math.ceil(max(timesteps, 0) / speed), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
