"""One process at a time in a run directory, and nothing left of one that was killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlbot.run.lock import locked

HOLDER = """
import sys, time
from pathlib import Path
from rlbot.run.lock import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="another process is training in it\n"), locked(tmp_path, pytest.fail):
            pass
    finally:
        holder.kill()
        holder.communicate()
    for _ in range(2):
        with locked(tmp_path, pytest.fail):
            pass


def test_where_nothing_can_be_locked_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    warnings: list[str] = []
    with locked(tmp_path, warnings.append):
        pass
    assert len(warnings) == 1 and "cannot be locked" in warnings[0] and "\n" not in warnings[0]
