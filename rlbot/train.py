"""`python -m rlbot.train`: train a bot, or go on with a run."""

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbot import command
from rlbot.config import document, load_document
from rlbot.schema import TrainConfig
from rlbot.sweep import RESULT

if TYPE_CHECKING:
    from rlbot.build import Parts
    from rlbot.collect import Collector
    from rlbot.loop import Progress, Start
    from rlbot.rater import Rater
    from rlbot.report import RunReporter
    from rlbot.run import Console, Notifier, Resume, RunDirectory

OUTPUTS = Path("outputs")


def main(config: TrainConfig, directory: Path) -> float | None:
    """Returns what `config.objective` names, for a sweep to maximise; None where it could not be measured."""
    # Heavy imports wait until the settings are known to be sound: a slip on the command line is answered at once.
    from rlbot import loop, run
    from rlbot.build import build
    from rlbot.report import RunReporter
    from rlbot.tolerance import BadUpdates, Tolerance
    from rlbot.verify import summary, verify

    with command.building():
        resume = run.resolve_resume(config.resume, OUTPUTS) if config.resume else None
        saved = run.load_checkpoint(resume.checkpoint) if resume else None
        if saved is not None and resume is not None:
            with _continuing(resume):
                config = _resumed(config, saved[1]["config"])
        warnings: list[str] = [] if resume is None else resume.warnings
        parts = build(config, lambda line: console.warn(line))
        home = _home(directory, resume)

    with run.Console(home.log_file) as console, _notifier(config, console) as notifier:
        for line in warnings:
            console.warn(line)
        console.start(f"Verification of {home.path}")
        with command.building():
            for line in verify(config, parts):
                console.ok(line)
        console.start("Configuration")
        for line in summary(config, parts):
            console.ok(line)
        console.ok(parts.hardware.reason)
        start = _start(parts, saved, console, resume)

        # Nothing of a run that is resumed is changed before it is certain that it can go on.
        home.write_run_json(_run_document(config, parts))
        (home.path / RESULT).unlink(missing_ok=True)
        tensorboard = run.TensorBoard(
            home.tensorboard, resumed_at=start[0].timesteps if saved else None, warn=console.warn
        )
        rater = _rater(config, parts, home, console, start[0])
        reporter = RunReporter(
            console, tensorboard, notifier, rater, config.total_timesteps, config.log_interval, home.path.name
        )
        reporter.send("start", f"training to {config.total_timesteps} timesteps")
        console.start(f"Training from {start[0].timesteps} to {config.total_timesteps} timesteps")
        try:
            with run.stop_on_signals() as stopping:
                progress = loop.train(
                    ppo=parts.ppo,
                    pool=parts.pool,
                    stages=parts.stages,
                    make_collector=parts.make_collector,
                    publish=parts.publish,
                    schedule=loop.Schedule(
                        config.total_timesteps,
                        config.checkpoint_interval,
                        config.learner.learning_rate,
                        config.learner.anneal_learning_rate,
                        config.learner.overlap,
                    ),
                    start=start,
                    reporter=reporter,
                    save=lambda progress, collector: _save(
                        config, parts, home, console, reporter, rater, progress, collector
                    ),
                    stopping=stopping,
                    tolerance=Tolerance(home.bad, config.learner.max_bad_updates, console.warn),
                )
                reporter.last_ratings(stopping, needed=config.objective == "rating")
            _prune(config, home, console, rater)  # by what was rated since the last checkpoint
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
        stopped = progress.timesteps < config.total_timesteps
        reporter.finished(progress, stopped)
        result = reporter.result(config.objective, progress, stopped)
        _write_result(home, console, result)
        console.ok(f"Run directory: {home.path}")
    if stopped and command.in_multirun():
        raise KeyboardInterrupt  # Ctrl-C means the sweep, not only this job
    value: float | None = result["value"]
    return value


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


def _resumed(config: TrainConfig, saved: dict[str, Any]) -> TrainConfig:
    """The settings a checkpoint was made with, changed by what this command line names."""
    return load_document(command.overlay(saved, document(config)))


def _home(directory: Path, resume: "Resume | None") -> "RunDirectory":
    """Where this run lives: a resumed run goes on in the directory of its checkpoint."""
    from rlbot.run import RunDirectory

    if resume is None or resume.run is None:
        return RunDirectory(directory)
    home = RunDirectory(resume.run)
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


def _point_latest(home: "RunDirectory") -> list[str]:
    """outputs/latest follows the newest run of outputs/ that can be resumed; the jobs of a sweep leave it alone.

    Returns a warning where it could not be moved."""
    from rlbot.run import point_latest

    if OUTPUTS.resolve() not in home.path.resolve().parents:
        return []
    warning = point_latest(OUTPUTS, home.path)
    return [warning] if warning else []


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


def _save(
    config: TrainConfig,
    parts: "Parts",
    home: "RunDirectory",
    console: "Console",
    reporter: "RunReporter",
    rater: "Rater | None",
    progress: "Progress",
    collector: "Collector",
) -> None:
    """Write a checkpoint; a disk that refuses it is reported, and training goes on."""
    from rlbot import run
    from rlbot.build import make_bot, policy_document

    learner, learner_document = parts.ppo.state()
    environment, environment_document = collector.snapshot()
    try:
        run.save_checkpoint(
            home.checkpoints,
            progress.timesteps,
            {
                "model": parts.model.state_dict(),
                "learner": learner,
                "environment": environment,
                "opponents": parts.pool.state(),
            },
            {
                "progress": dataclasses.asdict(progress),
                "learner_state": learner_document,
                "environment_state": environment_document,
                "config": document(config),
                "policy": policy_document(config),
            },
            run_id=home.run_id,
            score=progress.reward,
        )
    except run.CheckpointError as error:
        console.error(f"No checkpoint at {progress.timesteps} timesteps: {error}; the next try is in an interval")
        return
    reporter.saved(progress)
    if rater is not None:
        rater.submit(make_bot(config, parts, progress.timesteps))
    _prune(config, home, console, rater)
    for warning in _point_latest(home):
        console.warn(warning)


def _write_result(home: "RunDirectory", console: "Console", result: dict[str, Any]) -> None:
    from rlbot.run.files import to_json, write_atomic

    try:
        write_atomic(home.path / RESULT, to_json(result))
    except OSError as error:
        console.warn(f"{home.path / RESULT} cannot be written: {error.strerror or error}; a sweep misses this run")


def _prune(config: TrainConfig, home: "RunDirectory", console: "Console", rater: "Rater | None") -> None:
    """Keep the best checkpoints by rating, and those whose rating is still to come; by mean reward without ratings."""
    from rlbot.run import prune_checkpoints

    _, warnings = prune_checkpoints(
        home.checkpoints,
        run_id=home.run_id,
        keep_best=config.keep_best,
        milestones=rater.waiting() if rater is not None else (),
        scores=rater.scores() if rater is not None else None,
    )
    for warning in warnings:
        console.warn(warning)


if __name__ == "__main__":
    command.run(main, "train")
