"""Runs a command of the project under Hydra: one place for what a user sees when something is wrong.

    def main(config: TrainConfig, directory: Path) -> float:
        with building():  # a ValueError in here is the user's to mend
            parts = ...
        return train(parts)  # an error in here is a crash: a traceback, and the directory stays

    if __name__ == "__main__":
        run(main, "train")

Wrong settings cost one to three lines on stderr, exit status 1 and no directory. HYDRA_FULL_ERROR=1 or
debug=true shows the traceback as well. In a multirun a job that fails leaves the others alone; those that
failed are named at the end.
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
from rlbot.settings.resumed import compose_over, lay_over, quoted, resume_of
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

Main = Callable[[Any, Path], float | None]  # of the settings that ROOTS names for the command
Follow = Callable[[Any], None]
MAX_LENGTH = 500  # of a line about an error
_TOLD_BY_THE_FIRST = 30.0  # s in which rank 0 tells the same fault, and torchrun then ends the others


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
    """The settings of one command line, checked, without a run directory. Raises ConfigError."""
    try:
        return load(composed(overrides, config_name), ROOTS[config_name])
    except INPUT_ERRORS as error:
        raise explain(error, overrides, config_name) from error


def run(main: Main, config_name: str = "train", follow: Follow | None = None) -> None:
    """Calls `main(config, directory)` as the command line asks, once, or in a multirun once a job.

    What `main` returns is the score of the run, for a sweep. Returns if all went well, else leaves with exit
    status 1, and with 130 after Ctrl-C. `follow(config)` is called instead in all processes but the first where
    torchrun started several: without Hydra, and without a directory.
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
                follow(compose(_of_a_follower(overrides)))
            return
        root = config_name
        if config_name == "train" and not (arguments.multirun or arguments.help or arguments.hydra_help):
            root, overrides = _going_on(overrides)
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
        _report(_of_rank(world.rank, error) or explain(error, sys.argv[1:], config_name, Guard.root), Guard.verbose)
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


def _going_on(overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The root configuration and the command line for it: where a run is resumed, its checkpoint's settings."""
    from rlbot.run import going_on  # late: who starts a run of its own needs none of it

    try:
        asked = resume_of(overrides)
    except HydraException:  # which Hydra tells by itself
        return "train", list(overrides)
    if asked is not None and asked != "latest" and not (asked.strip() and exists(asked)):
        return "train", list(overrides)  # which the checks tell
    with building():
        resume = Guard.resume = going_on(asked)
        if resume is None:
            return "train", list(overrides)
        root, changes = lay_over(resume.settings(), [text for text in overrides if key(text) != "resume"])
    return root, [*changes, f"resume={quoted(resume.value)}"]


def _of_a_follower(overrides: list[str]) -> list[str]:
    """What a process needs to know before the first tells it the rest. It may have no disk with the run to resume."""
    if "resume" not in map(key, overrides):
        return overrides
    return [text for text in overrides if key(text).partition(".")[0] in ("hardware", "experiment")]


@contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads it from sys.argv."""
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
    """The settings that this command line names, as it names them; those of the groups `without` are left out."""
    return [text for text in HydraConfig.get().overrides.task if key(text).partition(".")[0] not in without]


def recipe() -> str | None:
    """The NAME of experiment=NAME."""
    name: str | None = HydraConfig.get().runtime.choices.get("experiment")
    return name


class Guard(Callback):
    """Hydra's callback, named in the root configurations: sees a run before Hydra makes its directory.

    Checks the settings there, so that wrong ones neither make a directory nor write into an old one, and
    notes what is going to be made, so that it can be taken away again.
    """

    verbose: ClassVar[bool] = False  # tracebacks are wanted
    root: ClassVar[Path | None] = None  # directory of the run, or of the whole multirun
    made: ClassVar[Path | None] = None  # its topmost parent that was not there before; None where all were
    own: ClassVar[bool] = False  # whether this process made it
    resume: ClassVar["Resume | None"] = None  # where a run of this command line goes on
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
            _put_aside(Guard.root / FAILURES)  # of a sweep before, in a directory of the user's choice
            logging.disable(logging.INFO)  # Optuna's own lines
            warnings.filterwarnings("ignore", "A worker stopped while some jobs")  # joblib's, of no consequence
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
        """Makes the directory that Hydra is about to use, under a name no run has that started just now."""
        name = path = str(config.hydra[kind].dir)
        if not (name.strip() and name.isprintable()):
            raise ConfigError(f"hydra.{kind}.dir={one_line(name)}: must be printable text")
        cls.root, cls.multirun = Path(path).resolve(), kind == "sweep"
        missing = [folder for folder in (cls.root, *cls.root.parents) if not folder.exists()]
        cls.made, cls.own = missing[-1] if missing else None, True
        for number in itertools.count(2):
            try:
                Path(path).mkdir(parents=True)  # of two starts at once one has made it
                break
            except FileExistsError:
                if _is_chosen(config, kind) or (cls.resume and cls.root == cls.resume.run):
                    cls.own = False  # the user's own choice, or the run's, and it is there already
                    return
                path = f"{name}-{number}"
        if path != name:
            cls.made = cls.root = Path(path).resolve()
            with read_write(config.hydra):
                config.hydra[kind].dir = path
                config.hydra.overrides.hydra.append(f"hydra.{kind}.dir={path}")  # what a sweep's jobs go by

    @classmethod
    def clean(cls) -> None:
        """Takes away what was made for nothing: a multirun without a job left, and empty parents."""
        if cls.root is None or cls.made is None:
            return
        if cls.own and cls.multirun and cls.root.exists() and not any(path.is_dir() for path in cls.root.iterdir()):
            _take_back(cls.root)
        for folder in (cls.root, *cls.root.parents):
            with suppress(OSError):  # not there, or in use by another run
                folder.rmdir()
            if folder == cls.made:
                break


def _job(main: Main, config_name: str, verbose: bool) -> Callable[[DictConfig], float | None]:
    """`main` as Hydra's task function. It may be sent to another process, so it uses no state of this one."""

    @functools.wraps(main)
    def job(cfg: DictConfig) -> float | None:
        settings = HydraConfig.get()
        directory = Path(settings.runtime.output_dir)
        multirun = settings.mode == RunMode.MULTIRUN
        fresh = _is_bare(directory, settings.output_subdir) and (multirun or Guard.own)
        if multirun:
            print(printable(f"[START] Job {settings.job.num}: {' '.join(_overrides(settings))}"), flush=True)
        try:
            if multirun and config_name == "train" and cfg.resume is not None:
                cfg = _job_going_on(str(cfg.resume), _overrides(settings))
            return main(load(cfg, ROOTS[config_name]), directory)
        except KeyboardInterrupt:
            if fresh and _is_bare(directory, settings.output_subdir):
                _take_back(directory)
            raise
        except ConfigError as error:
            failure = error
            if fresh and not isinstance(error, CommandFailed):
                _take_back(directory)
        except LostProcess:  # which the run has told already
            failure = ConfigError(
                "torchrun --max-restarts=3 goes on from the last checkpoint by itself, resume=RUN by hand"
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
        return None  # an exception would end the sweep; Optuna's sweeper takes None for a failed trial

    return job


def _job_going_on(value: str, overrides: Sequence[str]) -> DictConfig:
    """The settings of a job of a multirun that resumes a run: it goes on in the job's own directory."""
    from rlbot.run import resolve_resume

    with building():
        return compose_over(resolve_resume(value).settings(), overrides)


def _is_chosen(config: DictConfig, kind: str) -> bool:
    """Whether the directory is named on the command line."""
    return any(text.startswith(f"hydra.{kind}.dir=") for text in config.hydra.overrides.hydra)


def _check_directory(config: DictConfig, resume: "Resume | None") -> None:
    """Where a run may write. One that is resumed goes on in its own directory, unless another is named."""
    from rlbot.run import check_directory

    if resume is not None and resume.run is not None:
        with read_write(config.hydra):
            if not _is_chosen(config, "run"):
                config.hydra.run.dir = str(resume.run)
            if Path(config.hydra.run.dir).resolve() == resume.run:
                config.hydra.output_subdir = None  # nothing of it is changed before it is certain that it can go on
    check_directory(Path(config.hydra.run.dir), resume)


def _put_aside(file: Path) -> None:
    """Renames a file that is in the way, so that it is kept."""
    numbered = (file.with_name(f"{file.stem}-{number}{file.suffix}") for number in itertools.count(1))
    if file.exists():
        file.rename(next(path for path in numbered if not path.exists()))


def _take_back(directory: Path) -> None:
    """Removes a directory that this process made, with what it and Hydra wrote there before anything was trained.
    Anything else that lies in it stays, and the directory with it."""
    hydra_files = [f".hydra/{name}.yaml" for name in ("config", "hydra", "overrides")]
    sweep_files = ["multirun.yaml", "optimization_results.yaml", FAILURES, "sweep.csv", "sweep.png"]
    for name in (*hydra_files, *sweep_files, ".lock", "run.json", "train.log"):
        with suppress(OSError):
            (directory / name).unlink()
    for name in (".hydra", "checkpoints", "tensorboard", ""):
        with suppress(OSError):  # not there, or not empty
            (directory / name).rmdir()


def _check_mode(config: DictConfig) -> None:
    """A recipe that searches is for a sweep; a single run of it names what the search would choose."""
    searched = list(config.hydra.sweeper.get("params") or ())
    if searched and not {key(text) for text in _overrides(config.hydra)} & set(searched):
        raise ConfigError(f"+sweep: a search over {', '.join(searched[:2])}, ... needs -m (--multirun)")


def _warn_of_objective(config: DictConfig) -> None:
    """A sweep over what is rewarded may not go by the reward."""
    swept = [text for text in _overrides(config.hydra) if "," in text or "(" in text]
    names = [key(text) for text in (*swept, *(config.hydra.sweeper.get("params") or ()))]
    of_reward = [name for name in names if "reward" in name.split(".")]
    if of_reward and config.get("objective") == "reward":
        told = "jobs with other weights cannot be compared by it; take objective=rating, touches or goals"
        print(printable(f"[WARN] objective=reward while {of_reward[0]} changes: {told}"), flush=True)


def _report_sweep(root: Path) -> None:
    from rlbot.sweep.report import report

    try:
        for line in report(root):
            print(printable(line), flush=True)
    except (OSError, ValueError, KeyboardInterrupt) as error:
        print(printable(f"[WARN] The table of {root} is missing: {error}; python -m rlbot.sweep {root}"), flush=True)


def _overrides(settings: Any, kind: str = "task") -> list[str]:
    """As they were typed: an override with an interpolation in it is not resolved."""
    return list(OmegaConf.to_container(settings.overrides, resolve=False)[kind])  # type: ignore[index, call-overload]


def _is_bare(directory: Path, subdirectory: str | None) -> bool:
    return directory.is_dir() and all(path.name == subdirectory for path in directory.iterdir())


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    def refuse(message: str) -> NoReturn:
        raise ConfigError(f"{message.removeprefix('argument ')}; --hydra-help lists the options")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]  # it would print the usage, many lines of it
    return parser.parse_args(list(arguments))


def _of_rank(rank: int, error: Exception) -> ConfigError | None:
    """What a process that follows the first says of an error; None in the first."""
    if rank == 0:
        return None
    if isinstance(error, ConfigError):
        time.sleep(_TOLD_BY_THE_FIRST)
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
    if len(line) > MAX_LENGTH:  # the setting stands in front, what to do at the end
        line = f"{line[: MAX_LENGTH // 2]} ... {line[-MAX_LENGTH // 2 :]}"
    print(line, file=sys.stderr, flush=True)
