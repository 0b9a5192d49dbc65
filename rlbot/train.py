"""`python -m rlbot.train`: train a bot, or go on with a run."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbot import command
from rlbot.config import document, load_document
from rlbot.launch import Place, job
from rlbot.schema import TrainConfig
from rlbot.sweep import RESULT

if TYPE_CHECKING:
    from rlbot.build import Parts
    from rlbot.collect import Collector
    from rlbot.hardware import Group
    from rlbot.loop import Progress, Reporter, Save, Start
    from rlbot.rater import Rater
    from rlbot.report import RunReporter
    from rlbot.run import Console, Job, Notifier, Resume, RunDirectory
    from rlbot.tolerance import Tolerance

OUTPUTS = Path("outputs")


def main(config: TrainConfig, directory: Path) -> float | None:
    """Returns what `config.objective` names, for a sweep to maximise; None where it could not be measured."""
    with command.building():
        place = Place.of_run(config.hardware.distributed)
    # Heavy imports wait until the settings are known to be sound: a slip on the command line is answered at once.
    from rlbot import run
    from rlbot.hardware import Group

    began = time.monotonic()
    warnings: list[str] = []
    torchrun_job = run.Job(OUTPUTS, job())
    with ExitStack() as held:
        with command.building():
            group = Group.join(place, config.hardware.device)
            resume = _resume(config, torchrun_job)
            folder = directory if resume is None or resume.run is None else resume.run
            held.enter_context(run.locked(folder, warnings.append))
        warnings += resume.warnings if resume is not None else []
        return _train(config, directory, resume, warnings, began, group, torchrun_job)


def _train(
    config: TrainConfig,
    directory: Path,
    resume: "Resume | None",
    warnings: list[str],
    began: float,
    group: "Group",
    torchrun_job: "Job",
) -> float | None:
    """The run in its directory, which nobody else trains in; `began` is when, in time.monotonic()."""
    from rlbot import run
    from rlbot.build import build
    from rlbot.report import RunReporter
    from rlbot.saving import Saver
    from rlbot.tolerance import BadUpdates, Tolerance

    with command.building():
        saved = run.load_checkpoint(resume.checkpoint) if resume else None
        if saved is not None and resume is not None:
            with _continuing(resume):
                config = _resumed(config, saved[1]["config"])
        group.first((config, resume, saved))
        parts = build(config, lambda line: console.warn(line), group)
        home = _home(directory, resume)

    with run.Console(home.log_file) as console, _notifier(config, console) as notifier:
        for line in warnings:
            console.warn(line)
        _introduce(config, parts, home, console)
        start = _start(parts, saved, console, resume)
        with command.building():
            group.gather("ready")

        # Nothing of a run that is resumed is changed before it is certain that it can go on.
        with command.building():
            home.write_run_json(_run_document(config, parts))
            (home.path / RESULT).unlink(missing_ok=True)
            torchrun_job.begin(home.path)
        tensorboard = run.TensorBoard(
            home.tensorboard, resumed_at=start[0].timesteps if saved else None, warn=console.warn
        )
        rater = _rater(config, parts, home, console, start[0])
        reporter = RunReporter(
            console, tensorboard, notifier, rater, config.total_timesteps, config.log_interval, home.path.name
        )
        save = Saver(config, parts, home, console, reporter, rater, OUTPUTS)
        limit = config.hardware.time_limit

        def over() -> bool:
            late = limit is not None and time.monotonic() - began >= 60 * limit
            return late and reporter.iterations > 0  # else a chain of jobs would never go on

        try:
            with run.stop_on_signals() as asked:

                def stopping() -> bool:
                    return asked() or over()

                reporter.send("start", f"training to {config.total_timesteps} timesteps")
                console.start(f"Training from {start[0].timesteps} to {config.total_timesteps} timesteps")
                tolerance = Tolerance(home.bad, config.learner.max_bad_updates, console.warn)
                progress = _loop(config, parts, start, reporter, save, stopping, tolerance)
                reporter.last_ratings(stopping, needed=config.objective == "rating")
                save.prune()  # by what was rated since the last checkpoint
        except BadUpdates as error:
            text = f"Training stopped after {error}"
            reporter.send("failure", text)
            console.error(text)
            raise command.CommandFailed(f"{text}\n{_way_out(home)}") from error
        except Exception as error:
            reporter.send("failure", f"{type(error).__name__}: {error}")
            console.error(f"Training failed: {type(error).__name__}: {error}")
            raise
        finally:
            if rater is not None:
                rater.close()
            tensorboard.close()
        group.leave()
        if not save.failed:  # else torchrun starts it anew, from the newest checkpoint
            torchrun_job.end()
        by_hand = asked() or not over()  # it may have been another process that was asked
        return _finish(config, home, console, reporter, progress, by_hand, save.failed)


def follow(config: TrainConfig) -> None:
    """What a process of a distributed run does that is not the first: it plays and learns its share, writes nothing and
    takes settings and checkpoint from rank 0, in the same order as `main`."""
    with command.building():
        place = Place.of_run(config.hardware.distributed)
    from rlbot import run
    from rlbot.build import build
    from rlbot.hardware import Group
    from rlbot.report import Silent
    from rlbot.tolerance import BadUpdates, Tolerance

    with command.building():
        group = Group.join(place, config.hardware.device)
        config, resume, saved = group.first((config, None, None))
        parts = build(config, lambda line: print(f"[WARN] rank {group.rank}: {line}", file=sys.stderr), group)
        with open(os.devnull, "w") as nowhere, run.Console(stream=nowhere) as console:
            start = _start(parts, saved, console, resume)
        group.gather("ready")
    tolerance = Tolerance(None, config.learner.max_bad_updates, lambda line: None)
    try:
        with run.stop_on_signals(quiet=True) as stopping:
            _loop(config, parts, start, Silent(), _share_snapshot, stopping, tolerance)
    except BadUpdates as error:
        raise command.CommandFailed(str(error)) from error
    group.leave()


def _share_snapshot(progress: "Progress", collector: "Collector") -> None:
    """A process's part in the checkpoint that rank 0 writes."""
    collector.snapshot()


def _loop(
    config: TrainConfig,
    parts: "Parts",
    start: "Start",
    reporter: "Reporter",
    save: "Save",
    stopping: Callable[[], bool],
    tolerance: "Tolerance",
) -> "Progress":
    """The same in all processes. They stop together: where one was asked to."""
    from rlbot import loop

    learner, group = config.learner, parts.hardware.group
    return loop.train(
        ppo=parts.ppo,
        pool=parts.pool,
        stages=parts.stages,
        make_collector=parts.make_collector,
        publish=parts.publish,
        schedule=loop.Schedule(
            config.total_timesteps,
            config.checkpoint_interval,
            learner.learning_rate,
            learner.anneal_learning_rate,
            learner.overlap,
        ),
        start=start,
        reporter=reporter,
        save=save,
        stopping=lambda: any(group.gather(stopping())),
        tolerance=tolerance,
    )


def _introduce(config: TrainConfig, parts: "Parts", home: "RunDirectory", console: "Console") -> None:
    """What was checked, and what is going to be trained."""
    from rlbot.verify import summary, verify

    console.start(f"Verification of {home.path}")
    with command.building():
        for line in verify(config, parts):
            console.ok(line)
    console.start("Configuration")
    for line in summary(config, parts):
        console.ok(line)
    console.ok(parts.hardware.reason)


def _finish(
    config: TrainConfig,
    home: "RunDirectory",
    console: "Console",
    reporter: "RunReporter",
    progress: "Progress",
    asked: bool,
    unsaved: bool,
) -> float | None:
    """How the run ended, and how to go on. Raises CommandFailed where its end could not be saved, and KeyboardInterrupt
    where it was asked to stop in a sweep: that means the sweep, not only this job."""
    stopped = progress.timesteps < config.total_timesteps
    if stopped and not asked:
        console.ok(f"hardware.time_limit={config.hardware.time_limit:g} minutes are over")
    reporter.finished(progress, stopped)
    result = reporter.result(config.objective, progress, stopped)
    _write_result(home, console, result)
    console.ok(f"Run directory: {home.path}")
    if unsaved:
        text = f"The end of this run, at {progress.timesteps} timesteps, is not saved in {home.checkpoints}"
        reporter.send("failure", text)
        raise command.CommandFailed(
            f"{text};\nwhen it can be written, resume={home.path} goes on from the newest checkpoint"
        )
    if stopped and progress.timesteps:
        console.ok(f"Go on with: python -m rlbot.train resume={home.path}")
    if stopped and asked and command.in_multirun():
        raise KeyboardInterrupt
    value: float | None = result["value"]
    return value


def _resume(config: TrainConfig, torchrun_job: "Job") -> "Resume | None":
    """Where to go on: processes that torchrun started anew with the run that those before them began."""
    from rlbot.run import resolve_resume

    value = torchrun_job.run() or config.resume
    return resolve_resume(str(value), OUTPUTS) if value else None


@contextmanager
def _continuing(resume: "Resume") -> Iterator[None]:
    """Where a checkpoint is sound but does not hold what this version's training writes."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume={resume.checkpoint}: training cannot go on with it ({type(error).__name__}: {error});\n"
            "name another run or checkpoint, or start anew with resume=null"
        ) from error


def _way_out(home: "RunDirectory") -> str:
    """What to do when a run was stopped by numbers that are not finite."""
    from rlbot.run import valid_checkpoints

    found, _ = valid_checkpoints(home.checkpoints)
    if not found:
        return "no checkpoint had been written; mend the cause (docs/troubleshooting.md) and start anew"
    return f"{found[0].name} is as it was: mend the cause (docs/troubleshooting.md), go on with resume={home.path}"


def _write_result(home: "RunDirectory", console: "Console", result: dict[str, Any]) -> None:
    from rlbot.run.files import to_json, write_atomic

    try:
        write_atomic(home.path / RESULT, to_json(result))
    except OSError as error:
        console.warn(f"{home.path / RESULT} cannot be written: {error.strerror or error}; a sweep misses this run")


def _resumed(config: TrainConfig, saved: dict[str, Any]) -> TrainConfig:
    """The settings a checkpoint was made with, changed by what this command line names."""
    return load_document(command.overlay(saved, document(config)))


def _home(directory: Path, resume: "Resume | None") -> "RunDirectory":
    """Where this run lives: a resumed run goes on in the directory of its checkpoint."""
    from rlbot.run import RunDirectory

    if resume is None or resume.run is None:
        return RunDirectory(directory)
    home = RunDirectory(resume.run)
    if directory.resolve() != home.path.resolve():
        shutil.rmtree(directory, ignore_errors=True)  # Hydra's, made for a run of its own
    return home


@contextmanager
def _notifier(config: TrainConfig, console: "Console") -> Iterator["Notifier | None"]:
    from rlbot.run import Notifier

    if not config.user.notify.enabled:
        yield None
        return
    with command.building():
        notifier = Notifier(config.user.notify.url_env, config.user.notify.events, console.warn)
    try:
        yield notifier
    finally:
        notifier.close()


def _run_document(config: TrainConfig, parts: "Parts") -> dict[str, Any]:
    from rlbot.run import describe_machine

    hardware = parts.hardware
    return {
        "user": config.user.name,
        **describe_machine(),
        "device": str(hardware.device),
        "precision": hardware.precision,
        "hardware": hardware.reason,
        "config": document(config),
    }


def _start(parts: "Parts", saved: Any, console: "Console", resume: "Resume | None") -> "Start":
    """Bring the parts to where the checkpoint stopped."""
    from rlbot.loop import Progress

    if saved is None or resume is None:
        return Progress(), None
    tensors, documents = saved
    with command.building(), _continuing(resume):
        progress = Progress(**documents["progress"])
        try:
            parts.model.load_state_dict(tensors["model"])
        except RuntimeError as error:
            raise ValueError(
                f"resume={resume.checkpoint}: its network has another shape than the one asked for;\n"
                "leave out the model settings to go on with the checkpoint's own"
            ) from error
        parts.ppo.load_state(tensors["learner"], documents["learner_state"])
        parts.pool.load_state(tensors["opponents"])
        collector = None
        if 0 <= progress.stage < len(parts.stages):  # else the curriculum was made shorter
            collector = parts.make_collector(progress.stage)
            try:
                collector.restore(tensors["environment"], documents["environment_state"])
            except ValueError as error:  # another number of arenas was asked for: the bot goes on, the episodes do not
                console.warn(f"The saved episodes are not continued: {error}")
    console.ok(f"Resumed at {progress.timesteps} timesteps from {resume.checkpoint}")
    return progress, collector


def _rater(
    config: TrainConfig, parts: "Parts", home: "RunDirectory", console: "Console", progress: "Progress"
) -> "Rater | None":
    """Who rates the versions of this run, brought to where it stopped."""
    from rlbot.build import make_bot
    from rlbot.rater import Plan, Rater, rated_teams

    settings = config.rating
    if not settings.enabled:
        return None
    teams = rated_teams(parts.stages)
    plan = Plan(teams, settings.matches, settings.opponents, settings.match_seconds, config.env.collision_meshes)
    rater = Rater(plan, home.path / "ratings.json", console.warn)
    if progress.timesteps:
        with command.building():
            rater.restore(progress.timesteps, home.checkpoints)
        if progress.timesteps not in rater.scores():  # stopped before it could be rated
            rater.submit(make_bot(config, parts, progress.timesteps))
    return rater


if __name__ == "__main__":
    command.run(main, "train", follow)
