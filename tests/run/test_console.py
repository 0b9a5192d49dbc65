import contextlib
import io
import os
import re
import select
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from rlbot.processes.text import printable
from rlbot.run.console import Console, bar_text, progress_bar, progress_text

ROOT = Path(__file__).parents[2]


def lines_of(log_file):
    """The lines of train.log without their times, which are checked here."""
    lines = log_file.read_bytes().decode("ascii").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ", line) for line in lines), lines
    return [line[26:] for line in lines]


def test_progress_text_and_bar_by_hand():
    text = progress_text(250_000, 5_000_000, 1234.5, "reward 0.123")  # 4750000 / 1234.5 = 3847.7 s = 1:04:08
    assert text == "Timestep: 250000/5000000 (5.0%), 1234.5 timesteps/sec, reward 0.123, 1:04:08 left"
    short = bar_text(250_000, 5_000_000, 1234.5, "reward 0.123")
    assert short == "5.0% 250000/5000000, 1234/s, reward 0.123, 1:04:08 left"
    assert progress_text(0, 10, 0.0) == "Timestep: 0/10 (0.0%), 0.0 timesteps/sec, ?:??:?? left"
    assert progress_text(12, 10, 1.0, "", "matches") == "Matches: 12/10 (100.0%), 1.0 matches/sec, 0:00:00 left"
    assert progress_bar(0.5, 12) == "[#####-----]"
    assert progress_bar(1.5, 12) == "[##########]"
    assert progress_bar(0.5, 4) == ""


def test_printable_escapes_everything_but_printable_ascii():
    assert printable("a\x1b[2Jb\t\r\u00e9\u65e5\ud800~") == r"a\x1b[2Jb\t\r\xe9\u65e5\ud800~"


def test_lines_go_to_stream_and_log(tmp_path):
    stream = io.StringIO()
    with Console(tmp_path / "train.log", stream) as console:
        console.start("Training [bold]x[/bold] :smile:")
        console.ok("Training speed: 1234.5 timesteps/sec")
        console.warn("two\nlines")
        console.error("Caf\u00e9")
    console.line("after close")
    expected = [
        "[START] Training [bold]x[/bold] :smile:",
        "[OK] Training speed: 1234.5 timesteps/sec",
        "[WARN] two",
        "lines",
        r"[ERROR] Caf\xe9",
    ]
    assert stream.getvalue().splitlines() == [*expected, "after close"]
    assert lines_of(tmp_path / "train.log") == expected


def test_a_log_is_appended_even_after_a_kill_within_a_line(tmp_path):
    log_file = tmp_path / "train.log"
    log_file.write_bytes(b"2026-11-22 10:00:00+00:00 [OK] hal")
    with Console(log_file, io.StringIO()) as console:
        console.ok("resumed")
    assert lines_of(log_file) == ["[OK] hal", "[OK] resumed"]


def test_plain_progress_is_rare_and_the_last_state_is_never_lost(tmp_path):
    stream = io.StringIO()
    with Console(tmp_path / "train.log", stream, interval=3600.0) as console:
        for timesteps in range(0, 1000, 10):
            console.progress(timesteps, 2000, 100.0, "reward 1")
    first, last = stream.getvalue().splitlines()
    assert first == "[OK] Timestep: 0/2000 (0.0%), 100.0 timesteps/sec, reward 1, 0:00:20 left"
    assert last.startswith("[OK] Timestep: 990/2000 (49.5%)")
    assert lines_of(tmp_path / "train.log") == [first, last]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_code_page_gets_plain_ascii_without_control_characters(tmp_path, encoding):
    script = (
        "import sys; from rlbot.run.console import Console\n"
        "with Console() as console:\n"
        "    console.ok('Jos\\u00e9 \\u65e5\\u672c \\u2588 \\U0001f680')\n"
        "    console.progress(5, 10, 2.0, 'reward 0.5')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        # FORCE_COLOR makes rich believe in a terminal where there is none
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "FORCE_COLOR": "1"},
        capture_output=True,
        timeout=300,
    )
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.stdout.replace(b"\r\n", b"\n").decode("ascii") == (
        "[OK] Jos\\xe9 \\u65e5\\u672c \\u2588 \\U0001f680\n"
        "[OK] Timestep: 5/10 (50.0%), 2.0 timesteps/sec, reward 0.5, 0:00:03 left\n"
    )


def run_in_terminal(script, columns):
    """Runs Python code in a pseudo-terminal of its own; returns every byte it printed and the exit status."""
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    environment.update(PYTHONPATH=str(ROOT), TERM="xterm", PYTHONIOENCODING="cp1252", PYTHON_COLORS="0")
    process = subprocess.Popen([sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    output = b""
    while select.select([master], [], [], 30)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:  # Linux: the other side has closed
            break
        if not data:
            break
        output += data
    os.close(master)
    return output, process.wait(timeout=300)


def screen_of(output):
    """What a terminal shows in the end, for the few control sequences that a one-line bar needs."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[\??\d*[A-Za-z]|[\s\S]", output.decode("ascii")):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            rows.extend([""] * (row + 1 - len(rows)))
        elif token == "\x1b[2K":
            rows[row] = ""
        elif token == "\x1b[1A":
            row -= 1
        elif not token.startswith("\x1b"):
            rows[row] = rows[row].ljust(column)[:column] + token + rows[row][column + 1 :]
            column += 1
        else:
            assert token in ("\x1b[?25l", "\x1b[?25h"), f"unexpected control sequence {token!r}"
    return [line.rstrip() for line in rows]


def test_a_terminal_shows_one_bar_below_the_lines(tmp_path):
    script = f"""
import sys, time
from pathlib import Path
from rlbot.processes.text import printable
from rlbot.run.console import Console
with Console(Path({str(tmp_path / "train.log")!r}), interval=3600.0) as console:
    console.start("Training [1v1]")
    for timesteps in (0, 25, 50):
        console.progress(timesteps, 100, 10.0, 'reward 0.5')
        time.sleep(0.11)
    console.ok("Checkpoint " + "x" * 150)
    print("printed by other code \\u00e9")
    print("to stderr", file=sys.stderr)
    console.progress(75, 100, 10.0, 'reward 0.5')
print("done")
"""
    output, status = run_in_terminal(script, columns=120)
    assert status == 0, output
    assert screen_of(output) == [
        "[START] Training [1v1]",
        "[OK] Checkpoint " + "x" * 150,
        r"printed by other code \xe9",
        "to stderr",
        "[#####################-------] 75.0% 75/100, 10/s, reward 0.5, 0:00:03 left",
        "done",
        "",
    ]
    assert output.decode("ascii").rfind("\x1b[?25h") > output.decode("ascii").rfind("\x1b[?25l")
    assert lines_of(tmp_path / "train.log") == [
        "[START] Training [1v1]",
        "[OK] Timestep: 0/100 (0.0%), 10.0 timesteps/sec, reward 0.5, 0:00:10 left",
        "[OK] Checkpoint " + "x" * 150,
        "[OK] Timestep: 75/100 (75.0%), 10.0 timesteps/sec, reward 0.5, 0:00:03 left",
    ]


@pytest.mark.parametrize("columns", [20, 65, 80])
def test_a_narrow_terminal_never_wraps_the_bar(columns):
    script = (
        "import time; from rlbot.run.console import Console\n"
        "with Console() as console:\n"
        "    for i in range(3):\n"
        "        console.progress(i * 2500000, 5000000, 12345.6, 'reward -0.500, touches 8.1/min')\n"
        "        time.sleep(0.11)\n"
    )
    output, status = run_in_terminal(script, columns=columns)
    assert status == 0
    line, rest = screen_of(output)
    assert 0 < len(line) < columns
    assert rest == ""
    assert "[#" not in line
    assert line.endswith("touches 8.1/min, 0:00:00 left") == (columns == 80)


def test_an_error_gives_the_terminal_back():
    script = (
        "from rlbot.run.console import Console\n"
        "with Console() as console:\n"
        "    console.progress(1, 2, 1.0)\n"
        "    raise RuntimeError('stop')\n"
    )
    output, status = run_in_terminal(script, columns=100)
    assert status == 1
    screen = screen_of(output)
    assert screen[0] == "[" + "#" * 14 + "-" * 14 + "] 50.0% 1/2, 1/s, 0:00:01 left"
    assert screen[1].startswith("Traceback")
    assert screen[-2] == "RuntimeError: stop"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disks_never_raise():
    stream = io.StringIO()
    with Console(Path("/dev/full"), stream) as console:
        console.ok("one")
        console.ok("two")
    assert stream.getvalue().splitlines() == [
        "[WARN] full cannot be written: No space left on device; until it can be, lines are only printed",
        "[OK] one",
        "[OK] two",
    ]
    with open("/dev/full", "w") as full:
        console = Console(None, full)
        console.ok("lost")
        console.progress(1, 2, 1.0)
        console.close()
        assert console._stream.isatty() is False
        with pytest.raises(OSError, match="No space left"):
            full.close()


def test_a_log_goes_on_where_its_folder_was_deleted_and_made_again(tmp_path):
    log = tmp_path / "run" / "train.log"
    stream = io.StringIO()
    log.parent.mkdir()
    with Console(log, stream) as console:
        console.ok("one")
        shutil.rmtree(log.parent)
        console.ok("two")
        console.ok("three")
        log.parent.mkdir()
        console.ok("four")
        assert lines_of(log) == ["[OK] four"]
        shutil.rmtree(log.parent)
        console.ok("five")
    warning = "[WARN] train.log cannot be written: No such file or directory; until it can be, lines are only printed"
    assert stream.getvalue().splitlines() == [
        "[OK] one", warning, "[OK] two", "[OK] three", "[OK] four", warning, "[OK] five"
    ]  # fmt: skip


def test_a_closed_pipe_and_a_bad_log_path_never_raise(tmp_path):
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    (tmp_path / "file").write_text("")
    with Console(tmp_path / "file" / "train.log", stream) as console:
        console.ok("nobody listens")
        console.progress(1, 2, 1.0)
    with contextlib.suppress(OSError):  # Python's own flush
        stream.close()
