"""Runs a command of the project under Hydra, and prints what a user sees if something is wrong.

    def main(config: TrainConfig, directory: Path) -> float:
        with building():  # a ValueError in here is a mistake in the settings: a short message
            parts = ...
        return train(parts)  # an error in here is a crash: a traceback, and the directory stays

    if __name__ == "__main__":
        run(main, "train")

If settings are wrong, one to three lines are printed on stderr, the exit status is 1, and no directory is made.
HYDRA_FULL_ERROR=1 or debug=true shows the traceback as well. In a multirun the other jobs run on if one fails; the
failed jobs are listed at the end.
"""

import argparse
import functools
import itertools
import json
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, overload

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from rlbot.processes.environment_variables import set_defaults
from rlbot.processes.text import printable
from rlbot.processes.torchrun import LostProcess, World
from rlbot.settings.checks import exists
from rlbot.settings.config import config_dir, load
from rlbot.settings.errors import CommandFailed, ConfigError, building, one_line
from rlbot.settings.explain import INPUT_ERRORS, composed, explain, key
from rlbot.settings.resumed import compose_resumed, quoted, resume_of, resumed_overrides
from rlbot.settings.schema import (
    ROOTS,
    BenchConfig,
    EvaluateConfig,
    ExportConfig,
    LearncheckConfig,
    TrainConfig,
    WatchConfig,
)
from rlbot.sweep import FAILURES, failures

if TYPE_CHECKING:
    from rlbot.run import Resume

Main = Callable[[Any, Path], float | None]  # takes the settings (their type is in ROOTS) and the run directory
Follow = Callable[[Any], None]
MAX_LENGTH = 500  # of one line of an error message
_WAIT_FOR_RANK_0 = 30.0  # s; rank 0 reports the same error in this time, then torchrun ends the other ranks


@overload
def compose(overrides: Sequence[str] = (), config_name: Literal["train"] = "train") -> TrainConfig: ...
@overload
def compose(overrides: Sequence[str], config_name: Literal["evaluate"]) -> EvaluateConfig: ...
@overload
def compose(overrides: Sequence[str], config_name: Literal["watch"]) -> WatchConfig: ...
@overload
def compose(overrides: Sequence[str], config_name: Literal["bench"]) -> BenchConfig: ...
@overload
def compose(overrides: Sequence[str], config_name: Literal["learncheck"]) -> LearncheckConfig: ...
@overload
def compose(overrides: Sequence[str], config_name: Literal["export"]) -> ExportConfig: ...
def compose(overrides: Sequence[str] = (), config_name: str = "train") -> Any:
    """Returns the checked settings of a command line; makes no run directory. Raises ConfigError if they are wrong."""
    try:
        return load(composed(overrides, config_name), ROOTS[config_name])
    except INPUT_ERRORS as error:
        raise explain(error, overrides, config_name) from error


def run(main: Main, config_name: str = "train", follow: Follow | None = None) -> None:
    """Calls `main(config, directory)` once, or once for each job in a multirun.

    The return value of `main` is the score of the run, for a sweep. If all went well, this function returns; otherwise
    it exits with status 1, or with 130 after Ctrl-C. If torchrun started several processes, all ranks but 0 call
    `follow(config)` instead, without Hydra and without a directory.
    """
    set_defaults()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console without UTF-8 must not end a run
    wish = os.environ.get("HYDRA_FULL_ERROR")
    overrides: list[str] = []
    status: int | str | None = 0
    Guard.config_name = config_name
    world = World.found() or World()
    try:
        arguments = _parse(sys.argv[1:])
        overrides = arguments.overrides
        Guard.verbose = wish == "1" or "debug=true" in [text.lower() for text in overrides]
        if world.size > 1 and arguments.multirun:
            raise ConfigError("--multirun: torchrun starts the processes of one run; start it once for each run")
        if follow is not None and world.rank > 0:
            if not any((arguments.cfg, arguments.info, arguments.help, arguments.hydra_help)):
                follow(compose(_overrides_of_other_ranks(overrides)))
            return
        root = config_name
        if config_name == "train" and not (arguments.multirun or arguments.help or arguments.hydra_help):
            root, overrides = _resumed(overrides)
        flags = [text for text in sys.argv[1:] if text not in arguments.overrides]
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then lets errors through instead of printing them
        with warnings.catch_warnings(), _command_line([*flags, *overrides]):
            warnings.filterwarnings("error", r"provider=.* is not available")  # a folder of --config-dir or searchpath
            hydra.main(str(config_dir()), root, version_base="1.3")(_job(main, config_name, Guard.verbose))()
    except SystemExit as stop:
        status = stop.code
    except KeyboardInterrupt:
        _print_error("interrupted")
        status = 130
    except Exception as error:
        _report(
            _error_of_rank(world.rank, error) or explain(error, sys.argv[1:], config_name, Guard.root), Guard.verbose
        )
        status = 1
    finally:
        logging.disable(logging.NOTSET)
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if wish is not None:
            os.environ["HYDRA_FULL_ERROR"] = wish
    failed = failures(Guard.root) if Guard.root and Guard.multirun else []
    if Guard.root and Guard.multirun:
        _report_sweep(Guard.root)
    for failure in failed:
        _print_error(f"job {failure['job']} ({' '.join(failure['overrides'])}): {failure['error']}")
    if status or failed:
        Guard.clean()
        sys.exit(status or 1)


def _resumed(overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The root configuration and its overrides. If a run is resumed, they start from its checkpoint's settings."""
    from rlbot.run import find_resume  # imported here because only a resumed run needs it

    try:
        asked = resume_of(overrides)
    except HydraException:  # Hydra reports this error itself
        return "train", list(overrides)
    if asked is not None and asked != "latest" and not (asked.strip() and exists(asked)):
        return "train", list(overrides)  # the checks report this error
    with building():
        resume = Guard.resume = find_resume(asked)
        if resume is None:
            return "train", list(overrides)
        root, changes = resumed_overrides(resume.settings(), [text for text in overrides if key(text) != "resume"])
    return root, [*changes, f"resume={quoted(resume.value)}"]


def _overrides_of_other_ranks(overrides: list[str]) -> list[str]:
    """The overrides that another rank needs before rank 0 sends the settings. It may not see the disk with the run."""
    if "resume" not in map(key, overrides):
        return overrides
    return [text for text in overrides if key(text).partition(".")[0] in ("hardware", "experiment")]


@contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Puts `arguments` into sys.argv, from which Hydra reads them, and restores it at the end."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before


def in_multirun() -> bool:
    """Whether this is a job of a multirun."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def arguments(*without: str) -> list[str]:
    """The overrides of this command line as they were typed, without those of the groups `without`."""
    return [text for text in HydraConfig.get().overrides.task if key(text).partition(".")[0] not in without]


def recipe() -> str | None:
    """The NAME of experiment=NAME; None if there is none."""
    name: str | None = HydraConfig.get().runtime.choices.get("experiment")
    return name


class Guard(Callback):
    """Hydra's callback, named in the root configurations. Hydra calls it before it makes the run directory.

    It checks the settings there, so that wrong settings neither make a directory nor write into an old one. It also
    records which directories are going to be made, so that they can be removed again.
    """

    verbose: ClassVar[bool] = False  # whether tracebacks are printed
    root: ClassVar[Path | None] = None  # directory of the run, or of the whole multirun
    made: ClassVar[Path | None] = None  # its topmost parent that did not exist before; None if all of them existed
    own: ClassVar[bool] = False  # whether this process made `root`
    resume: ClassVar["Resume | None"] = None  # the checkpoint that this run continues from
    multirun: ClassVar[bool] = False
    config_name: ClassVar[str] = "train"

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        try:
            HydraConfig.instance().set_config(config)  # for settings that refer to Hydra's own
            load(config, ROOTS[Guard.config_name])
            _check_mode(config)
            if Guard.config_name == "train":
                _check_directory(config, Guard.resume)
            Guard._claim(config, "run")
        except Exception as error:  # Hydra would turn it into a warning and go on
            Guard._refuse(error, config)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        try:
            Guard._claim(config, "sweep")
            assert Guard.root is not None
            _keep_old(Guard.root / FAILURES)  # an earlier sweep may have used the same directory
            logging.disable(logging.INFO)  # hides Optuna's own lines
            warnings.filterwarnings("ignore", "A worker stopped while some jobs")  # from joblib, harmless
            _warn_of_objective(config)
        except Exception as error:
            Guard._refuse(error, config)

    @staticmethod
    def _refuse(error: Exception, config: DictConfig) -> NoReturn:
        asked = [*_overrides(config.hydra, "hydra"), *_overrides(config.hydra)]
        _report(explain(error, asked, Guard.config_name, Guard.root), Guard.verbose)
        sys.exit(1)

    @classmethod
    def _claim(cls, config: DictConfig, kind: str) -> None:
        """Makes the directory that Hydra is about to use. If another run has just made it, a number is appended."""
        name = path = str(config.hydra[kind].dir)
        if not (name.strip() and name.isprintable()):
            raise ConfigError(f"hydra.{kind}.dir={one_line(name)}: must be printable text")
        cls.root, cls.multirun = Path(path).resolve(), kind == "sweep"
        missing = [folder for folder in (cls.root, *cls.root.parents) if not folder.exists()]
        cls.made, cls.own = missing[-1] if missing else None, True
        for number in itertools.count(2):
            try:
                Path(path).mkdir(parents=True)  # fails if another start has made it in the same second
                break
            except FileExistsError:
                if _is_chosen(config, kind) or (cls.resume and cls.root == cls.resume.run):
                    cls.own = False  # the user named this directory, or the resumed run lies in it
                    return
                path = f"{name}-{number}"
        if path != name:
            cls.made = cls.root = Path(path).resolve()
            with read_write(config.hydra):
                config.hydra[kind].dir = path
                config.hydra.overrides.hydra.append(f"hydra.{kind}.dir={path}")  # the jobs of a sweep read this

    @classmethod
    def clean(cls) -> None:
        """Removes what this process made and does not need: a multirun's directory without jobs, and empty parents."""
        if cls.root is None or cls.made is None:
            return
        if cls.own and cls.multirun and cls.root.exists() and not any(path.is_dir() for path in cls.root.iterdir()):
            _remove_own_files(cls.root)
        for folder in (cls.root, *cls.root.parents):
            with suppress(OSError):  # it does not exist, or another run uses it
                folder.rmdir()
            if folder == cls.made:
                break


def _job(main: Main, config_name: str, verbose: bool) -> Callable[[DictConfig], float | None]:
    """Returns `main` as Hydra's task function. It may be sent to another process, so it uses no state of this one."""

    @functools.wraps(main)
    def job(cfg: DictConfig) -> float | None:
        settings = HydraConfig.get()
        directory = Path(settings.runtime.output_dir)
        multirun = settings.mode == RunMode.MULTIRUN
        fresh = _is_empty(directory, settings.output_subdir) and (multirun or Guard.own)
        if multirun:
            print(printable(f"[START] Job {settings.job.num}: {' '.join(_overrides(settings))}"), flush=True)
        try:
            if multirun and config_name == "train" and cfg.resume is not None:
                cfg = _resumed_job(str(cfg.resume), _overrides(settings))
            return main(load(cfg, ROOTS[config_name]), directory)
        except KeyboardInterrupt:
            if fresh and _is_empty(directory, settings.output_subdir):
                _remove_own_files(directory)
            raise
        except ConfigError as error:
            failure = error
            if fresh and not isinstance(error, CommandFailed):
                _remove_own_files(directory)
        except LostProcess:  # the run has reported this already
            failure = ConfigError(
                "torchrun --max-restarts=3 resumes from the last checkpoint by itself; resume=RUN resumes by hand"
            )
        except Exception as error:
            print(printable(traceback.format_exc(), keep="\n"), file=sys.stderr)
            failure = ConfigError(f"{type(error).__name__}: {error}")
        if not multirun:
            _report(failure, verbose)
            sys.exit(1)
        message = "; ".join(str(failure).splitlines())
        record = {"job": settings.job.num, "overrides": _overrides(settings), "error": message}
        with open(Path(settings.runtime.cwd, settings.sweep.dir, FAILURES), "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return None  # an exception would end the sweep; Optuna's sweeper counts None as a failed trial

    return job


def _resumed_job(value: str, overrides: Sequence[str]) -> DictConfig:
    """The settings of a multirun job that resumes a run. It continues the run in the job's own directory."""
    from rlbot.run import resolve_resume

    with building():
        return compose_resumed(resolve_resume(value).settings(), overrides)


def _is_chosen(config: DictConfig, kind: str) -> bool:
    """Whether the command line names the directory."""
    return any(text.startswith(f"hydra.{kind}.dir=") for text in config.hydra.overrides.hydra)


def _check_directory(config: DictConfig, resume: "Resume | None") -> None:
    """Checks that a run may write into its directory. A resumed run uses its old one, unless another is named."""
    from rlbot.run import check_directory

    if resume is not None and resume.run is not None:
        with read_write(config.hydra):
            if not _is_chosen(config, "run"):
                config.hydra.run.dir = str(resume.run)
            if Path(config.hydra.run.dir).resolve() == resume.run:
                config.hydra.output_subdir = None  # no file of the run is changed before it is certain to resume
    check_directory(Path(config.hydra.run.dir), resume)


def _keep_old(file: Path) -> None:
    """Renames an existing file, so that it is not overwritten."""
    numbered = (file.with_name(f"{file.stem}-{number}{file.suffix}") for number in itertools.count(1))
    if file.exists():
        file.rename(next(path for path in numbered if not path.exists()))


def _remove_own_files(directory: Path) -> None:
    """Removes a directory that this process made, with the files that it and Hydra wrote there before training began.
    If anything else lies in it, that file and the directory stay."""
    hydra_files = [f".hydra/{name}.yaml" for name in ("config", "hydra", "overrides")]
    sweep_files = ["multirun.yaml", "optimization_results.yaml", FAILURES, "sweep.csv", "sweep.png"]
    for name in (*hydra_files, *sweep_files, ".lock", "run.json", "train.log"):
        with suppress(OSError):
            (directory / name).unlink()
    for name in (".hydra", "checkpoints", "tensorboard", ""):
        with suppress(OSError):  # it does not exist, or is not empty
            (directory / name).rmdir()


def _check_mode(config: DictConfig) -> None:
    """Raises ConfigError if a search recipe is used without -m and without values for what it would search."""
    searched = list(config.hydra.sweeper.get("params") or ())
    if searched and not {key(text) for text in _overrides(config.hydra)} & set(searched):
        raise ConfigError(f"+sweep: a search over {', '.join(searched[:2])}, ... needs -m (--multirun)")


def _warn_of_objective(config: DictConfig) -> None:
    """Warns if a sweep changes reward weights and is scored by the reward."""
    swept = [text for text in _overrides(config.hydra) if "," in text or "(" in text]
    names = [key(text) for text in (*swept, *(config.hydra.sweeper.get("params") or ()))]
    of_reward = [name for name in names if "reward" in name.split(".")]
    if of_reward and config.get("objective") == "reward":
        advice = "it cannot compare jobs with different weights; take objective=rating, touches or goals"
        print(printable(f"[WARN] objective=reward while {of_reward[0]} changes: {advice}"), flush=True)


def _report_sweep(root: Path) -> None:
    from rlbot.sweep.report import report

    try:
        for line in report(root):
            print(printable(line), flush=True)
    except (OSError, ValueError, KeyboardInterrupt) as error:
        print(printable(f"[WARN] The table of {root} is missing: {error}; python -m rlbot.sweep {root}"), flush=True)


def _overrides(settings: Any, kind: str = "task") -> list[str]:
    """The overrides as they were typed: interpolations in them are not resolved."""
    return list(OmegaConf.to_container(settings.overrides, resolve=False)[kind])  # type: ignore[index, call-overload]


def _is_empty(directory: Path, subdirectory: str | None) -> bool:
    return directory.is_dir() and all(path.name == subdirectory for path in directory.iterdir())


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    def refuse(message: str) -> NoReturn:
        raise ConfigError(f"{message.removeprefix('argument ')}; --hydra-help lists the options")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]  # the original prints the usage, which is long
    return parser.parse_args(list(arguments))


def _error_of_rank(rank: int, error: Exception) -> ConfigError | None:
    """The error that a rank other than 0 reports; None in rank 0."""
    if rank == 0:
        return None
    if isinstance(error, ConfigError):
        time.sleep(_WAIT_FOR_RANK_0)
    elif not isinstance(error, LostProcess):
        print(printable(traceback.format_exc(), keep="\n"), file=sys.stderr)
    kind = "" if isinstance(error, (ConfigError, LostProcess)) else f"{type(error).__name__}: "
    return ConfigError(f"rank {rank}: {kind}{error}")


def _report(error: ConfigError, verbose: bool) -> None:
    if verbose and error.__traceback__ is not None:
        print(printable("".join(traceback.format_exception(error)), keep="\n"), file=sys.stderr)
    for line in str(error).splitlines():
        _print_error(line)


def _print_error(line: str) -> None:
    line = printable(f"[ERROR] {line}")
    if len(line) > MAX_LENGTH:  # keep both ends: the setting comes first, what to do comes last
        line = f"{line[: MAX_LENGTH // 2]} ... {line[-MAX_LENGTH // 2 :]}"
    print(line, file=sys.stderr, flush=True)
