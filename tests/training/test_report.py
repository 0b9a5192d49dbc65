"""What a run tells people, and when."""

import io
from pathlib import Path

import pytest

from rlbot.run import Console, TensorBoard, Trackers
from rlbot.training import report
from rlbot.training.callbacks import Callbacks
from rlbot.training.loop import Progress
from rlbot.training.run import Deferred
from tests.launching import curves

METRICS = {"reward/step": 0.5, "play/touches_per_minute": 2.0, "speed/timesteps_per_second": 100.0}


@pytest.mark.parametrize("gpu", [None, 1])
def test_curves_of_a_gpu_only_of_a_run_that_learns_on_one(
    gpu: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that has some; `gpu` is the device of the run."""
    stats = {"utilization": 50.0, "memory_used": 10.0, "memory_total": 100.0}
    asked: list[int] = []
    monkeypatch.setattr(report, "gpu_stats", lambda index=0: asked.append(index) or stats)
    (tmp_path / "tensorboard").mkdir()
    trackers, stream = Trackers([("tensorboard", TensorBoard(tmp_path / "tensorboard"))], print), io.StringIO()
    reporter = report.RunReporter(Console(stream=stream), trackers, Callbacks({}), None, None, 100, "run", gpu)
    reporter.iteration(Progress(timesteps=10), METRICS)
    assert ("gpu/utilization" in curves(tmp_path)) == ("GPU" in stream.getvalue()) == (gpu is not None)
    assert asked == ([] if gpu is None else [gpu])


def test_a_warning_before_there_is_a_console_is_told_when_there_is_one() -> None:
    warn, told = Deferred(), list[str]()
    warn("while the parts were built")
    warn.to(told.append)
    warn("later")
    assert told == ["while the parts were built", "later"]
