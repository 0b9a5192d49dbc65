"""`python -m rlbot.watch` in real processes: it says where to look, serves it, and leaves nothing behind."""

import re
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rlbot.sim import version
from tests.launching import run_command, start_command
from tests.recording.test_recording import played

QUIET = ("rlbot.watch", "watch.browser=false")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    match = played(seconds=1.0)
    match.header["engine"] = "rocketsim3 0.3.4"
    match.save(tmp_path / "match.npz")
    return tmp_path


@pytest.mark.parametrize("arguments", [(), ("recording=match.npz",)], ids=["live", "recording"])
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_it_serves_the_page_until_ctrl_c(folder: Path, arguments: tuple[str, ...]) -> None:
    process = start_command(folder, *QUIET, *arguments)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"\[OK\] Watch at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", line)
    assert found, line
    engine = "rocketsim3 0.3.4" if arguments else version("auto")
    assert process.stdout.readline() == f"[OK] Engine: {engine}\n"

    def get(name: str) -> bytes:
        with urllib.request.urlopen(found[1] + name, timeout=20) as answer:
            return bytes(answer.read())

    assert b'<main id="app">' in get("") and b"three.js" in get("viewer.js")[:200]
    assert (b'"live": true' in get("page.json")) == (not arguments)
    if arguments:
        assert get("recording.npz") == (folder / "match.npz").read_bytes()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "[OK] Ended\n", "")
    assert [path.name for path in folder.iterdir()] == ["match.npz"], "nothing is left behind"


def test_exports(folder: Path) -> None:
    status, out, err = run_command(folder, "rlbot.watch", "recording=match.npz", "export=match.html")
    assert (status, err) == (0, "") and out.startswith("[OK] Written: match.html (")
    assert b"<title>car 0 and car 1 0:0 car 2 and car 3</title>" in (folder / "match.html").read_bytes()
    assert run_command(folder, "rlbot.watch", "recording=match.npz", "export=match.gif")[0] == 0
    with Image.open(folder / "match.gif") as image:
        assert image.n_frames > 5  # type: ignore[attr-defined]
    assert sorted(path.name for path in folder.iterdir()) == ["match.gif", "match.html", "match.npz"]


def test_a_film_needs_a_library_or_is_made(folder: Path) -> None:
    status, _, err = run_command(folder, "rlbot.watch", "recording=match.npz", "export=match.mp4")
    if status:
        assert err == "[ERROR] an MP4 needs ffmpeg: pip install imageio imageio-ffmpeg; a GIF needs nothing\n"
    else:
        assert b"ftyp" in (folder / "match.mp4").read_bytes()[:16]


def test_a_mistake_costs_a_line_and_perhaps_one_of_what_to_do(folder: Path) -> None:
    (folder / "torn.npz").write_bytes((folder / "match.npz").read_bytes()[:1000])
    before = sorted(folder.rglob("*"))
    mistakes: list[tuple[list[str], Any]] = [
        (["recording=torn.npz"], "recording=torn.npz: not a recording, or a truncated one"),
        (["checkpoint=latest"], "checkpoint=latest: there is no directory"),
        (["run=nowhere"], "run=nowhere: no such folder"),
        (
            ["recording=match.npz", "export=no/such/match.html"],
            f"export={Path('no/such/match.html')}: cannot be written",
        ),
        (["watch.host=203.0.113.7"], "203.0.113.7"),
    ]
    for arguments, expected in mistakes:
        status, out, err = run_command(folder, *QUIET, *arguments)
        assert (status, out) == (1, "") and expected in err
        assert len(err.splitlines()) == 1 + ("give a run directory" in err)
        assert all(line.startswith("[ERROR] ") for line in err.splitlines())
    assert sorted(folder.rglob("*")) == before
