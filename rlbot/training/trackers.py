"""Opens the trackers that the settings name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from rlbot.run import RunDirectory, TensorBoard, Trackers
from rlbot.run.csv_tracker import CsvTracker
from rlbot.run.trackers import Tracker
from rlbot.run.wandb_tracker import WandbTracker
from rlbot.settings.document import document
from rlbot.settings.forms import TrackerConfig
from rlbot.settings.schema import TrainConfig
from rlbot.values.target import Target, call

Make = Callable[[RunDirectory, int | None], Tracker]


def trackers_of(config: TrainConfig, warn: Callable[[str], None]) -> list[tuple[str, Make]]:
    """Returns a name and a function for each tracker, which takes the run directory, and the timesteps at which the run
    is resumed (None: it is new). Raises ValueError if one of the user's own cannot be loaded."""
    return [(each.name, _maker(each, f"tracker.{i}", config, warn)) for i, each in enumerate(config.tracker)]


def open_trackers(
    makers: list[tuple[str, Make]], home: RunDirectory, resumed_at: int | None, warn: Callable[[str], None]
) -> Trackers:
    """Opens them. What a killed process recorded beyond `resumed_at` disappears from TensorBoard and the CSV file."""
    trackers = Trackers([], warn)
    for name, make in makers:
        trackers.open(name, functools.partial(make, home, resumed_at))
    return trackers


def _maker(tracker: TrackerConfig, key: str, config: TrainConfig, warn: Callable[[str], None]) -> Make:
    if tracker.target is not None:
        own = _own(tracker.target, key)
        return lambda home, resumed_at: own
    if tracker.name == "csv":
        return lambda home, resumed_at: CsvTracker(home.metrics, resumed_at, warn)
    if tracker.name == "wandb":
        return lambda home, resumed_at: WandbTracker(home.path, home.run_id, document(config))
    return lambda home, resumed_at: TensorBoard(home.tensorboard, resumed_at=resumed_at, warn=warn)


class _Function:
    """A tracker that is only a function (step, metrics)."""

    def __init__(self, function: Callable[[int, Mapping[str, float]], Any]) -> None:
        self.log = function

    def close(self) -> None:
        """Does nothing."""


def _own(target: Target, key: str) -> Tracker:
    """Returns a tracker of the user's own: an instance of a class, or a function in place of `log`."""
    function = target.load(key)
    if not isinstance(getattr(function, "func", function), type):
        return _Function(function)
    tracker: Any = call(f"{key} ({target.name})", function)
    for method in ("log", "close"):
        if not callable(getattr(tracker, method, None)):
            raise ValueError(
                f"{key}._target_={target.name}: has no method {method}; it needs log(step, metrics), close()"
            )
    return tracker  # type: ignore[no-any-return]
