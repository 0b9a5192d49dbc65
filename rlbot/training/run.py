"""A training run from start to end: its directory, the checks and the summary before training, the loop, the result."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbot import run
from rlbot.collect import Collector
from rlbot.hardware import Group
from rlbot.processes.signals import stop_on_signals
from rlbot.processes.torchrun import World, job
from rlbot.rating.rater import Plan, Rater, rated_teams
from rlbot.run.files import to_json, write_atomic
from rlbot.run.manifest import checkpoint_info
from rlbot.settings.document import document
from rlbot.settings.errors import CommandFailed, building
from rlbot.settings.schema import TrainConfig
from rlbot.sim import describe, version
from rlbot.training import loop
from rlbot.training.build import Components, build, make_bot, make_schedule, make_stages, with_overlap
from rlbot.training.callbacks import Callbacks
from rlbot.training.control import Asked, Control
from rlbot.training.loop import Orders, Progress, Reporter, Save, Start
from rlbot.training.nan_guard import BadUpdates, NanGuard
from rlbot.training.preflight import preflight
from rlbot.training.report import RunReporter, Silent
from rlbot.training.resume import kept_bots, restore, with_engine
from rlbot.training.saver import Saver
from rlbot.training.summary import rate_of_a_resumed_run, summary
from rlbot.training.trackers import open_trackers, trackers_of
from rlbot.training.user_files import absolute, keep, locate
from rlbot.values.target import PartError


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `value` is the measure that config.objective names, None if it could not be measured."""

    value: float | None
    interrupted: bool  # whether a signal stopped it before total_timesteps


def train(config: TrainConfig, directory: Path, world: World) -> Outcome:
    """Trains in `directory`. A resumed run continues in its own directory, or in a new one and leaves the old one
    unchanged. Raises ConfigError if the settings are wrong, CommandFailed if the run fails for a known cause."""
    began = time.monotonic()
    warn = Deferred()
    with ExitStack() as held:
        with building():
            group = Group.join(world, config.hardware.device)
            resume = run.resolve_resume(config.resume) if config.resume is not None else None
            run.check_directory(directory, resume)
        try:
            held.enter_context(run.locked(directory, warn))
            requests = run.Requests(directory)
        except ValueError as error:  # another run uses the directory: nothing in it may be removed
            raise CommandFailed(str(error)) from error
        for line in resume.warnings if resume is not None else ():
            warn(line)
        return _train(config, directory, resume, warn, began, group, requests)


class Deferred:
    """Keeps warnings until there is a console, then passes them on to it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._take: Callable[[str], None] = self._lines.append

    def __call__(self, line: str) -> None:
        self._take(line)

    def to(self, take: Callable[[str], None]) -> None:
        """Passes all lines so far, and all later ones, to `take`."""
        for line in self._lines:
            take(line)
        self._take = take


def _train(
    config: TrainConfig,
    directory: Path,
    resume: run.Resume | None,
    warn: "Deferred",
    began: float,
    group: Group,
    requests: run.Requests,
) -> Outcome:
    """Trains in the locked directory; `began` is the time of the start, of time.monotonic()."""
    torchrun_job = run.TorchrunJob(run.OUTPUTS, job())
    with building():
        saved = run.load_checkpoint(resume.checkpoint) if resume else None
        config = with_overlap(with_engine(config, saved[1]["policy"] if saved else None, warn))
        group.first((config, resume, saved))
        config = absolute(config)
        played = config  # `config` with files of the user that are gone replaced by their copies
        if resume is not None and resume.run is not None:
            played, changed = locate(config, resume.run / "code", checkpoint_info(resume.checkpoint).timesteps)
            for line in changed:
                warn(line)
        components = build(played, warn, group, kept_bots(saved, resume))
        callbacks, makers = Callbacks(played.callback), trackers_of(played, warn)
        home = run.RunDirectory(directory)

    with run.Console(home.log_file, interval=config.log_interval) as console, _notifier(config, console) as notifier:
        warn.to(console.warn)
        _introduce(played, components, home, console)
        start = restore(components, saved, console, resume)
        if saved is not None:
            for line in rate_of_a_resumed_run(config, start[0].timesteps, saved[1]):
                console.line(line)
        with building():
            group.gather("ready")

        # A resumed run's files are changed only from here on, when it is certain that it can continue.
        with building():
            if resume is not None and resume.run != home.path.resolve():
                home.continue_from(resume)
                console.ok(f"{home.path} continues from {resume.checkpoint}, which is not changed")
            if copied := keep(config, home.path / "code", start[0].timesteps):
                console.ok(copied)
            home.write_run_json(_run_document(config, components, resume))
            (home.path / run.RESULT).unlink(missing_ok=True)
            torchrun_job.begin(home.path)
        trackers = open_trackers(makers, home, start[0].timesteps if saved else None, console.warn)
        rater = _rater(config, components, home, console, start[0])
        reporter = RunReporter(
            console,
            trackers,
            callbacks,
            notifier,
            rater,
            config.total_timesteps,
            home.path.name,
            components.hardware.device.index,  # None: the CPU
        )
        save = Saver(config, components, home, console, reporter, rater, run.OUTPUTS)

        def time_is_over() -> bool:
            limit = save.config.hardware.time_limit
            late = limit is not None and time.monotonic() - began >= 60 * limit
            return late and reporter.iterations > 0  # otherwise a chain of short jobs might make no progress

        try:
            with stop_on_signals() as asked:

                def stopping() -> bool:
                    return asked() or time_is_over() or callbacks.reason is not None

                reporter.send("start", f"training to {config.total_timesteps} timesteps")
                console.start(f"Training from {start[0].timesteps} to {config.total_timesteps} timesteps")
                nan_guard = NanGuard(home.bad, config.learner.max_bad_updates, console.warn)
                control = Control(requests, save, stopping)
                progress = _loop(config, components, start, reporter, save, control, nan_guard)
                reporter.last_ratings(control.ending, needed=config.objective == "rating")
                control.close(progress)
                save.prune()  # again, because ratings have come in since the last checkpoint
        except (BadUpdates, PartError) as error:
            text = f"Training stopped after {error}"
            reporter.send("failure", text)
            console.error(text)
            raise CommandFailed(f"{text}\n{_advice(home)}") from error
        except Exception as error:
            reporter.send("failure", f"{type(error).__name__}: {error}")
            console.error(f"Training failed: {type(error).__name__}: {error}")
            raise
        finally:
            if rater is not None:
                rater.close()
            trackers.close()
        group.leave()
        if not (save.failed or callbacks.failure):  # otherwise torchrun restarts the run from the newest checkpoint
            torchrun_job.end()
        reason = control.reason or (callbacks.reason if callbacks.failure is None else None)
        if reason is None and time_is_over() and not asked():
            reason = f"hardware.time_limit={save.config.hardware.time_limit:g} minutes are over"
        outcome = _finish(save, console, reporter, progress, reason)
        if callbacks.failure is not None:
            raise CommandFailed(callbacks.failure)
        return outcome


def follow(config: TrainConfig, world: World) -> None:
    """Runs a rank other than 0 of a distributed run. It collects and learns its shard, writes no files, and receives
    settings and checkpoint from rank 0. It calls the group's operations in the same order as `train`."""
    with building():
        group = Group.join(world, config.hardware.device)
        config, resume, saved = group.first((config, None, None))
        config = absolute(config)
        components = build(config, lambda line: print(f"[WARN] rank {group.rank}: {line}", file=sys.stderr), group)
        with open(os.devnull, "w") as nowhere, run.Console(stream=nowhere) as console:
            start = restore(components, saved, console, resume)
        group.gather("ready")
    nan_guard = NanGuard(None, config.learner.max_bad_updates, lambda line: None)
    try:
        with stop_on_signals(quiet=True) as stopping:
            _loop(config, components, start, Silent(), _share_snapshot, lambda _: Asked(stopping()), nan_guard)
    except (BadUpdates, PartError) as error:
        raise CommandFailed(str(error)) from error
    group.leave()


def _share_snapshot(progress: Progress, collector: Collector) -> None:
    """Sends this rank's part of the checkpoint to rank 0, which writes it."""
    collector.snapshot()


def _loop(
    config: TrainConfig,
    components: Components,
    start: Start,
    reporter: Reporter,
    save: Save,
    ask: Callable[[Progress], Asked],
    nan_guard: NanGuard,
) -> Progress:
    """The training loop, the same in all ranks. If one rank is asked to stop, all stop after the same iteration; for
    everything else rank 0 is asked."""
    group = components.hardware.group

    def orders(progress: Progress) -> Orders:
        everyone = group.gather(ask(progress))
        first = everyone[0]
        plan = None if first.config is None else (make_schedule(first.config), make_stages(first.config))
        return Orders(any(each.stop for each in everyone), first.pause, first.save, plan, first.ratings)

    return loop.train(
        ppo=components.ppo,
        pool=components.pool,
        stages=components.stages,
        make_collector=components.make_collector,
        publish=components.publish,
        schedule=make_schedule(config),
        start=start,
        reporter=reporter,
        save=save,
        orders=orders,
        nan_guard=nan_guard,
    )


def _introduce(config: TrainConfig, components: Components, home: run.RunDirectory, console: run.Console) -> None:
    """Runs the checks, and prints them and the configuration."""
    console.start(f"Verification of {home.path}")
    with building():
        for line in preflight(config, components):
            console.ok(line)
    console.ok(f"Engine: {describe(config.env.engine)}")
    console.start("Configuration")
    for line in summary(config, components):
        console.ok(line)
    console.ok(components.hardware.reason)


def _finish(
    saver: Saver, console: run.Console, reporter: RunReporter, progress: Progress, reason: str | None
) -> Outcome:
    """Writes the result, and prints how the run ended and how to resume it. `reason`: why it ended before its time, if
    no signal ended it. Raises CommandFailed if the last save failed."""
    config, home = saver.config, saver.home
    stopped = progress.timesteps < config.total_timesteps
    if stopped and reason is not None:
        console.ok(reason)
    reporter.finished(progress, stopped)
    result = reporter.result(config.objective, progress, stopped)
    _write_result(home, console, result)
    console.ok(f"Run directory: {home.path}")
    if saver.failed:
        text = f"The end of this run, at {progress.timesteps} timesteps, is not saved in {home.checkpoints}"
        reporter.send("failure", text)
        raise CommandFailed(f"{text};\nwhen it can be written, resume={home.path} continues from the newest checkpoint")
    if stopped and progress.timesteps:
        console.ok(f"Resume with: python -m rlbot.train resume={home.path}")
    return Outcome(result["value"], interrupted=stopped and reason is None)


def _advice(home: run.RunDirectory) -> str:
    """What the user can do when a mistake of theirs, or NaN or infinity, stopped a run."""
    found, _ = run.valid_checkpoints(home.checkpoints)
    if not found:
        return "no checkpoint had been written; fix the cause (docs/troubleshooting.md) and start again"
    return f"{found[0].name} is intact: fix the cause (docs/troubleshooting.md), then resume={home.path}"


def _write_result(home: run.RunDirectory, console: run.Console, result: dict[str, Any]) -> None:
    try:
        write_atomic(home.path / run.RESULT, to_json(result))
    except OSError as error:
        path = home.path / run.RESULT
        console.warn(f"{path} cannot be written: {error.strerror or error}; a sweep's table will lack this run")


@contextmanager
def _notifier(config: TrainConfig, console: run.Console) -> Iterator[run.Notifier | None]:
    if not config.user.notify.enabled:
        yield None
        return
    with building():
        notifier = run.Notifier(config.user.notify.url_env, config.user.notify.events, console.warn)
    try:
        yield notifier
    finally:
        notifier.close()


def _run_document(config: TrainConfig, components: Components, resume: run.Resume | None) -> dict[str, Any]:
    hardware = components.hardware
    return {
        "resumed": None if resume is None else str(resume.checkpoint),
        "user": config.user.name,
        "engine": version(config.env.engine),
        **run.describe_machine(),
        "device": str(hardware.device),
        "precision": hardware.precision,
        "hardware": hardware.reason,
        "config": document(config),
    }


def _rater(
    config: TrainConfig, components: Components, home: run.RunDirectory, console: run.Console, progress: Progress
) -> Rater | None:
    """Returns the rater of this run's versions, with the ratings of a resumed run; None if rating is disabled."""
    settings = config.rating
    if not settings.enabled:
        return None
    teams = rated_teams(components.stages)
    plan = Plan(
        teams,
        settings.matches,
        settings.opponents,
        settings.match_seconds,
        config.env.collision_meshes,
        config.recording.interval,
        config.recording.matches,
        config.env.engine,
        components.anchors,
    )
    rater = Rater(plan, home.path / "ratings.json", console.warn)
    if progress.timesteps:
        with building():
            rater.restore(progress.timesteps, home.checkpoints)
        if progress.timesteps not in rater.scores():  # the run stopped before this version was rated
            rater.submit(make_bot(config, components, progress.timesteps, home.checkpoints))
    return rater
