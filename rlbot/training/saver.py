"""Saves the checkpoints of a run, removes those that are not kept, and warns if the disk cannot be written."""

import dataclasses
from pathlib import Path

from rlbot import run
from rlbot.collect import Collector
from rlbot.rating.rater import Rater
from rlbot.settings.document import document
from rlbot.settings.schema import TrainConfig
from rlbot.training.bots import bots_state
from rlbot.training.build import Components, make_bot, policy_document
from rlbot.training.loop import Progress
from rlbot.training.report import RunReporter


@dataclasses.dataclass
class Saver:
    """Saves a checkpoint at every call. If the disk cannot be written, the run goes on: an error is printed, and the
    next call tries again."""

    config: TrainConfig
    components: Components
    home: run.RunDirectory
    console: run.Console
    reporter: RunReporter
    rater: Rater | None
    outputs: Path
    failed: str = ""  # why the last save failed
    saved_at: int | None = None  # timesteps of the last checkpoint that was written

    def __call__(self, progress: Progress, collector: Collector) -> None:
        for warning in self.home.remake():
            self.console.warn(warning)
        try:
            self._write(progress, collector)
        except run.CheckpointError as error:
            self.failed = str(error)
            self.console.error(f"No checkpoint at {progress.timesteps} timesteps: {error}; tried again at the next one")
            return
        again, self.failed, self.saved_at = self.saved_at == progress.timesteps, "", progress.timesteps
        self.reporter.saved(progress)
        if self.rater is not None and not again:
            bot = make_bot(self.config, self.components, progress.timesteps, self.home.checkpoints)
            self.rater.submit(bot)
        self.prune()
        self._point_latest()

    def _write(self, progress: Progress, collector: Collector) -> None:
        components = self.components
        learner, learner_document = components.ppo.state()
        environment, environment_document = collector.snapshot()
        bots, bots_document = bots_state(components.bots)
        run.save_checkpoint(
            self.home.checkpoints,
            progress.timesteps,
            {
                "model": components.model.state_dict(),
                "learner": learner,
                "environment": environment,
                "opponents": components.pool.state() | bots,
            },
            {
                "progress": dataclasses.asdict(progress),
                "learner_state": learner_document,
                "environment_state": environment_document,
                "opponents_state": bots_document,
                "config": document(self.config),
                "policy": policy_document(self.config, components),
            },
            run_id=self.home.run_id,
            score=progress.reward,
        )

    def prune(self) -> None:
        """Removes all but the newest and best checkpoints: best by rating, or by mean reward without a rater. Those
        whose rating is still to come are kept."""
        _, warnings = run.prune_checkpoints(
            self.home.checkpoints,
            run_id=self.home.run_id,
            keep_best=self.config.keep_best,
            milestones=self.rater.waiting() if self.rater is not None else (),
            scores=self.rater.scores() if self.rater is not None else None,
        )
        for warning in warnings:
            self.console.warn(warning)

    def _point_latest(self) -> None:
        """Points outputs/latest to this run if it lies in outputs/; runs elsewhere, such as jobs of a sweep, do not."""
        if self.outputs.resolve() in self.home.path.resolve().parents:
            warning = run.point_latest(self.outputs, self.home.path)
            if warning is not None:
                self.console.warn(warning)
