"""What a run tells people: the console, TensorBoard, and notifications."""

from collections import deque
from collections.abc import Callable
from typing import Any

from rlbot.collect import Collector
from rlbot.curriculum import Stage
from rlbot.hardware import gpu_line, gpu_stats
from rlbot.rating.rater import Rated, Rater
from rlbot.run import Console, Notifier, TensorBoard
from rlbot.training.loop import Progress

_LAST_RATING = 30.0  # s that a run waits for it at its end
_NEEDED_RATING = 600.0  # the same where it is what a sweep goes by
_RECENT = 10  # iterations that `result` is a mean of
# What a sweep may go by, beside the rating: the curve it is the mean of.
OBJECTIVES = {"reward": "reward/step", "touches": "play/touches_per_minute", "goals": "play/goals_per_minute"}


class RunReporter:
    """The progress and the curves of every iteration; lines and messages at events."""

    def __init__(
        self,
        console: Console,
        tensorboard: TensorBoard,
        notifier: Notifier | None,
        rater: Rater | None,
        total_timesteps: int,
        run_name: str,
        gpu: int | None,
    ) -> None:
        """`gpu`: the CUDA device that the run learns on; None: it learns on the CPU, whatever else there is."""
        self._console, self._tensorboard, self._notifier = console, tensorboard, notifier
        self._rater = rater
        self._total, self._run_name = total_timesteps, run_name
        self._gpu = gpu
        self.iterations = 0  # of this process
        self._recent: deque[dict[str, float]] = deque(maxlen=_RECENT)

    def stage(self, index: int, stage: Stage, collector: Collector) -> None:
        self._recent.clear()  # what was rewarded and played before is another thing
        teams = ", ".join(name for name, share in stage.teams.items() if share > 0)
        against = ", ".join(name for name, share in stage.opponents.items() if share > 0)
        until = "the end" if stage.until is None else f"{stage.until} timesteps"
        self._console.start(
            f"Stage {index} ({stage.name}): {teams} against {against}, until {until}; "
            f"{collector.num_arenas} arenas, {collector.num_agents} learning cars"
        )

    def note(self, text: str) -> None:
        self._console.ok(text)

    def iteration(self, progress: Progress, metrics: dict[str, float]) -> None:
        gpu = gpu_stats(self._gpu) if self._gpu is not None else None
        if gpu is not None:
            metrics = metrics | {f"gpu/{name}": value for name, value in gpu.items()}
        self._tensorboard.write(metrics, progress.timesteps)
        speed = metrics["speed/timesteps_per_second"]
        details = f"reward {metrics['reward/step']:.3f}, touches {metrics['play/touches_per_minute']:.1f}/min"
        if gpu is not None:
            details += f", {gpu_line(gpu)}"
        self._console.progress(progress.timesteps, self._total, speed, details)
        for rated in self._rater.poll() if self._rater is not None else []:
            self._rated(rated)
        self.iterations += 1
        self._recent.append(metrics)

    def saved(self, progress: Progress) -> None:
        self._console.ok(f"Checkpoint saved at {progress.timesteps} timesteps")
        self.send("checkpoint", f"checkpoint at {progress.timesteps} of {self._total} timesteps")

    def last_ratings(self, stopping: Callable[[], bool], needed: bool = False) -> None:
        """What is still to be rated when the training has ended; waits longer where it is `needed`."""
        if self._rater is None or stopping():
            return
        patience = _NEEDED_RATING if needed else _LAST_RATING
        if waiting := self._rater.waiting():
            self._console.ok(f"Waiting up to {patience:g} s for the rating of the last version; Ctrl-C skips it")
        for rated in self._rater.wait(patience, stopping):
            self._rated(rated)
        if waiting and max(waiting) in self._rater.waiting():
            self._console.ok(f"The version at {max(waiting)} timesteps is not rated")

    def _rated(self, rated: Rated) -> None:
        shown = ", ".join(f"{team} {rating}" for team, rating in rated.ratings.items())
        self._console.ok(f"Rating of the version at {rated.timesteps} timesteps: {shown}")
        metrics = {f"rating/{team}": rating.points for team, rating in rated.ratings.items()}
        metrics |= {f"rating_error/{team}": rating.error for team, rating in rated.ratings.items()}
        self._tensorboard.write(metrics, rated.timesteps)
        pictures = {f"rated/{name}": picture for name, picture in rated.pictures.items()}
        self._tensorboard.write_pictures(pictures, rated.timesteps)

    def send(self, event: str, text: str) -> None:
        """Notify, where that is wanted."""
        if self._notifier is not None:
            self._notifier.send(event, f"rlbot: {self._run_name}", text)

    def result(self, objective: str, progress: Progress, stopped: bool) -> dict[str, Any]:
        """How the run ended, JSON-able: `value` is what `objective` names. None: nothing was measured.

        The rating is that of the newest rated version, the others are means over the last iterations of the stage.
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
    """A reporter that tells nobody: of a process for which another one speaks, or of a measurement."""

    def stage(self, index: int, stage: Stage, collector: Collector) -> None:
        """Nobody reads along."""

    def note(self, text: str) -> None:
        """Nobody reads along."""

    def iteration(self, progress: Progress, metrics: dict[str, float]) -> None:
        """Nobody reads along."""
