"""Trackers: the CSV file, Weights & Biases, and what happens if one fails."""

import csv
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rlbot.run import Trackers
from rlbot.run.csv_tracker import CsvTracker
from tests.launching import ROOT


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_call_and_a_column_for_each_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    tracker = CsvTracker(path, None, print)
    tracker.log(100, {"a": 0.1, "b": 1})
    tracker.log(200, {"b": float("nan"), "a": 1e-30})
    assert path.read_text() == "timesteps,a,b\n100,0.1,1.0\n200,1e-30,nan\n"
    tracker.log(150, {"rating/1v1": 12.5})  # a new curve: a new column
    tracker.log(300, {"a": 3.0})
    tracker.close()
    assert path.read_text().splitlines() == [
        "timesteps,a,b,rating/1v1", "100,0.1,1.0,", "200,1e-30,nan,", "150,,,12.5", "300,3.0,,"
    ]  # fmt: skip
    assert math.isnan(float(rows(path)[1]["b"])) and float(rows(path)[1]["a"]) == 1e-30
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_resumed_run_has_no_row_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("timesteps,a,b\n100,1.0,\n200,2.0,\n150,,5.0\n300,3.0,\n40")  # the last row was cut by a kill
    tracker = CsvTracker(path, 200, print)
    assert path.read_text() == "timesteps,a,b\n100,1.0,\n200,2.0,\n150,,5.0\n"
    tracker.log(300, {"a": 4.0})
    assert [row["timesteps"] for row in rows(path)] == ["100", "200", "150", "300"] and rows(path)[-1]["a"] == "4.0"
    CsvTracker(path, 50, print).log(60, {"c": 1.0})
    assert path.read_text() == "timesteps,c\n60,1.0\n"
    CsvTracker(tmp_path / "none.csv", 50, print).log(60, {"c": 1.0})
    assert (tmp_path / "none.csv").read_text() == "timesteps,c\n60,1.0\n"


def test_rows_are_kept_while_the_file_cannot_be_written(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "gone" / "metrics.csv"
    tracker = CsvTracker(path, None, told.append)
    for step in (1, 2):
        tracker.log(step, {"a": 0.5})
    assert len(told) == 1 and told[0].startswith(f"{path} cannot be written: ")
    path.parent.mkdir()
    tracker.log(3, {"a": 0.5, "b": 1.0})
    assert [row["timesteps"] for row in rows(path)] == ["1", "2", "3"] and len(told) == 1


class Recorder:
    def __init__(self, broken: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self.broken = broken

    def log(self, step: int, metrics: Any) -> None:
        self.calls.append(("log", step))
        if self.broken == "log":
            raise SystemExit("no\nconnection")

    def close(self) -> None:
        self.calls.append(("close", None))
        if self.broken == "close":
            raise OSError("late")


def test_one_that_fails_is_told_once_and_left_alone_and_the_others_go_on() -> None:
    good, bad, late, told = Recorder(), Recorder("log"), Recorder("close"), list[str]()
    trackers = Trackers([("bad", bad), ("good", good)], told.append)
    trackers.open("late", lambda: late)
    trackers.open("unmade", lambda: Recorder(1 / 0))  # type: ignore[arg-type]
    for step in (1, 2):
        trackers.log(step, {"a": 1.0})
        trackers.pictures(step, {})  # none of them has pictures
        trackers.text(step, "name", "text")
    trackers.close()
    assert bad.calls == [("log", 1)]
    assert good.calls == late.calls == [("log", 1), ("log", 2), ("close", None)]
    assert told == [
        "tracker unmade: the start failed, it gets nothing more (ZeroDivisionError: division by zero)",
        "tracker bad: log failed, it gets nothing more (SystemExit: no connection)",
        "tracker late: close failed, it gets nothing more (OSError: late)",
    ]


OFFLINE = """
import sys
from pathlib import Path
from PIL import Image
import io
from rlbot.run.wandb_tracker import WandbTracker
png, gif = io.BytesIO(), io.BytesIO()
Image.new("RGB", (4, 4)).save(png, "PNG")
Image.new("P", (4, 4)).save(gif, "GIF")
first = int(sys.argv[2])
tracker = WandbTracker(Path(sys.argv[1]), "abc123", {"seed": first})
for step in (first, first + 100):
    tracker.log(step, {"reward/step": step / 1000})
tracker.pictures(first, {"rated/heatmap": (png.getvalue(), 4, 4), "rated/clip": (gif.getvalue(), 4, 4)})
tracker.text(first, "changed settings", "learner.learning_rate=0.0002")
tracker.close()
"""


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed; it is an extra")
def test_weights_and_biases_offline_goes_on_under_the_same_id(tmp_path: Path) -> None:
    for first in (100, 300):
        done = subprocess.run(
            [sys.executable, "-c", OFFLINE, str(tmp_path), str(first)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "WANDB_MODE": "offline"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 2 and all(run.name.endswith("-abc123") for run in runs)
    for run, first in zip(runs, (100, 300), strict=True):
        data = (run / "run-abc123.wandb").read_bytes()
        assert b"reward/step" in data and b"timesteps" in data and str(first + 100).encode() in data
