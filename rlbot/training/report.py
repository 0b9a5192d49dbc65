"""Reports a run to its user: console, trackers, callbacks and notifications."""

from collections import deque
from collections.abc import Callable
from typing import Any

from rlbot.collect import Collector
from rlbot.curriculum import Stage
from rlbot.hardware import gpu_line, gpu_stats
from rlbot.rating.rater import Rated, Rater
from rlbot.run import Console, Notifier, Trackers
from rlbot.training.callbacks import Callbacks
from rlbot.training.loop import Progress

_LAST_RATING = 30.0  # s that a run waits for the last rating at its end
_NEEDED_RATING = 600.0  # the same if the rating is the score of the run (objective=rating)
_RECENT = 10  # iterations over which `result` takes the mean
# The scores for a sweep, beside the rating, and the metric that each is the mean of.
OBJECTIVES = {"reward": "reward/step", "touches": "play/touches_per_minute", "goals": "play/goals_per_minute"}


class RunReporter:
    """Writes progress and metrics at every iteration, and lines and notifications at events."""

    def __init__(
        self,
        console: Console,
        trackers: Trackers,
        callbacks: Callbacks,
        notifier: Notifier | None,
        rater: Rater | None,
        total_timesteps: int,
        run_name: str,
        gpu: int | None,
    ) -> None:
        """`gpu`: the index of the CUDA device that the run learns on; None: it learns on the CPU."""
        self._console, self._trackers, self._callbacks, self._notifier = console, trackers, callbacks, notifier
        self._rater = rater
        self._total, self._run_name = total_timesteps, run_name
        self._gpu = gpu
        self.iterations = 0  # since this process started
        self._new_ratings: list[tuple[int, float]] = [] if rater is None else sorted(rater.scores().items())
        self._recent: deque[dict[str, float]] = deque(maxlen=_RECENT)

    def stage(self, index: int, stage: Stage, collector: Collector) -> None:
        self._recent.clear()  # metrics of another stage cannot be compared with those of this one
        teams = ", ".join(name for name, share in stage.teams.items() if share > 0)
        against = ", ".join(name for name, share in stage.opponents.items() if share > 0)
        self._console.start(
            f"Stage {index} ({stage.name}): {teams} against {against}, until {stage.end}; "
            f"{collector.num_arenas} arenas, {collector.num_agents} learning cars"
        )

    def changed(self, total_timesteps: int, text: str, timesteps: int) -> None:
        """Tells that settings have changed while the run trains."""
        self._total = total_timesteps
        self._console.ok(f"Changed {text}")
        self._trackers.text(timesteps, "changed settings", text)

    def started(self, text: str) -> None:
        self._console.start(text)

    def note(self, text: str) -> None:
        self._console.ok(text)

    def iteration(self, progress: Progress, metrics: dict[str, float]) -> None:
        gpu = gpu_stats(self._gpu) if self._gpu is not None else None
        if gpu is not None:
            metrics = metrics | {f"gpu/{name}": value for name, value in gpu.items()}
        self._trackers.log(progress.timesteps, metrics)
        speed = metrics["speed/timesteps_per_second"]
        details = f"reward {metrics['reward/step']:.3f}, touches {metrics['play/touches_per_minute']:.1f}/min"
        if gpu is not None:
            details += f", {gpu_line(gpu)}"
        self._console.progress(progress.timesteps, self._total, speed, details)
        for rated in self._rater.poll() if self._rater is not None else []:
            self._rated(rated)
        self.iterations += 1
        self._recent.append(metrics)
        self._callbacks(progress, metrics)

    def saved(self, progress: Progress) -> None:
        self._console.ok(f"Checkpoint saved at {progress.timesteps} timesteps")
        self.send("checkpoint", f"checkpoint at {progress.timesteps} of {self._total} timesteps")

    def last_ratings(self, stopping: Callable[[], bool], needed: bool = False) -> None:
        """Reports the ratings that are still to come when training has ended; waits longer for them if `needed`."""
        if self._rater is None or stopping():
            return
        patience = _NEEDED_RATING if needed else _LAST_RATING
        if waiting := self._rater.waiting():
            self._console.ok(f"Waiting up to {patience:g} s for the rating of the last version; Ctrl-C skips it")
        for rated in self._rater.wait(patience, stopping):
            self._rated(rated)
        if waiting and max(waiting) in self._rater.waiting():
            self._console.ok(f"The version at {max(waiting)} timesteps was not rated")

    def new_ratings(self) -> tuple[tuple[int, float], ...]:
        """Returns the ratings that have come in since the last call: timesteps of the version, mean points over the
        team sizes."""
        found, self._new_ratings = tuple(self._new_ratings), []
        return found

    def _rated(self, rated: Rated) -> None:
        shown = ", ".join(f"{team} {rating}" for team, rating in rated.ratings.items())
        self._console.ok(f"Rating of the version at {rated.timesteps} timesteps: {shown}")
        points = [rating.points for rating in rated.ratings.values()]
        self._new_ratings.append((rated.timesteps, sum(points) / len(points)))
        metrics = {f"rating/{team}": rating.points for team, rating in rated.ratings.items()}
        metrics |= {f"rating_error/{team}": rating.error for team, rating in rated.ratings.items()}
        metrics |= {f"against_{name}": value for name, value in rated.against.items()}
        self._trackers.log(rated.timesteps, metrics)
        pictures = {f"rated/{name}": picture for name, picture in rated.pictures.items()}
        self._trackers.pictures(rated.timesteps, pictures)

    def send(self, event: str, text: str) -> None:
        """Sends a notification if notifications are enabled."""
        if self._notifier is not None:
            self._notifier.send(event, f"rlbot: {self._run_name}", text)

    def result(self, objective: str, progress: Progress, stopped: bool) -> dict[str, Any]:
        """Returns the result of the run, JSON-able. `value` is the measure that `objective` names; None: not measured.

        The rating is that of the newest rated version. The others are means over the last iterations of the stage.
        """
        ratings = self._rater.scores() if self._rater is not None else {}
        measured: dict[str, float | None] = {}
        for name, curve in OBJECTIVES.items():
            values = [metrics[curve] for metrics in self._recent]
            measured[name] = sum(values) / len(values) if values else None
        measured["rating"] = ratings[max(ratings)] if ratings else None
        return {
            "status": "stopped" if stopped else "finished",
            "objective": objective,
            "value": measured[objective],
            **measured,
            "timesteps": progress.timesteps,
            "seconds": progress.seconds,
        }

    def finished(self, progress: Progress, stopped: bool) -> None:
        how = "Stopped" if stopped else "Training finished"
        text = f"{how} at {progress.timesteps} timesteps after {progress.seconds:.0f} s of training"
        self._console.ok(text)
        self.send("end", text)


class Silent:
    """A reporter that reports nothing: for ranks other than 0, and for measurements."""

    def stage(self, index: int, stage: Stage, collector: Collector) -> None:
        """Does nothing."""

    def started(self, text: str) -> None:
        """Does nothing."""

    def note(self, text: str) -> None:
        """Does nothing."""

    def iteration(self, progress: Progress, metrics: dict[str, float]) -> None:
        """Does nothing."""
