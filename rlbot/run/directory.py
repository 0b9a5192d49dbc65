"""The run directory: creating it, run.json, the link outputs/latest, and finding the checkpoint to resume from."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbot.processes.torchrun import job
from rlbot.run.checkpoint import copy_checkpoint, valid_checkpoints
from rlbot.run.files import from_json, to_json, write_atomic
from rlbot.run.manifest import MANIFEST, checkpoint_fault
from rlbot.run.torchrun_job import TorchrunJob

LATEST = "latest"
_PACKAGES = (
    "rlbot-trainer",
    "torch",
    "numpy",
    "rocketsim",
    "gymnasium",
    "hydra-core",
    "numba",
    "safetensors",
)

OUTPUTS = Path("outputs")  # the default folder of runs that are not jobs of a multirun
RESULT = "result.json"  # in a run directory: how the run ended
_INCOMPLETE = re.compile(r"\.(run|ratings|result)\.json-[0-9a-f]{8}")  # temporary files of write_atomic
# What a run writes into its directory.
_WRITTEN = (
    "run.json", "checkpoints", "tensorboard", "metrics.csv", "train.log", "ratings.json", RESULT, "bad", "code"
)  # fmt: skip


class RunDirectory:
    """Creates PATH/checkpoints and PATH/tensorboard, or opens those of a run that is resumed.

    `run_id` is made once and kept in run.json, so that a resumed run still owns the checkpoints it wrote before.
    Raises ValueError if the directory cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.metrics = self.path / "metrics.csv"
        self.log_file = self.path / "train.log"
        self.bad = self.path / "bad"  # made when the first file is written into it
        self.run_file = self.path / "run.json"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.tensorboard.mkdir(exist_ok=True)
            self._launches = self._read_launches()
        except OSError as error:
            raise ValueError(
                f"run directory {self.path} cannot be created: {error.strerror}\n"
                "choose another with hydra.run.dir=FOLDER"
            ) from error
        self.run_id = str(self._launches[-1]["run_id"]) if self._launches else uuid.uuid4().hex
        self._content = b""  # of run.json
        self._info: dict[str, Any] = {}  # the same as a document
        if not self._launches:
            self._write({"run_id": self.run_id})

    def continue_from(self, resume: "Resume") -> None:
        """Makes this new run the continuation of another one, which is not changed. Copies the checkpoint to resume
        from, and the curves, ratings, files of the user and entries in run.json of its run. Raises OSError, and
        ValueError if the copied checkpoint is damaged."""
        copy_checkpoint(resume.checkpoint, self.checkpoints, self.run_id)
        if resume.run is None:
            return
        self._launches = [*self.launches(resume.run), *self._launches]
        for file in (resume.run / "tensorboard").glob("events.out.tfevents.*"):
            shutil.copyfile(file, self.tensorboard / file.name)
        for name in ("ratings.json", "metrics.csv"):
            if (resume.run / name).is_file():
                shutil.copyfile(resume.run / name, self.path / name)
        if (resume.run / "code").is_dir():
            shutil.copytree(resume.run / "code", self.path / "code", dirs_exist_ok=True)

    def write_run_json(self, info: Mapping[str, Any]) -> None:
        """Writes run.json: `info` about this process and `run_id`. What earlier processes wrote moves to "previous".
        The caller must hold the lock of the directory.

        `info` must be JSON-able and contain no secret. Raises ValueError if the file cannot be written.
        """
        for leftover in self.path.iterdir():  # from a process that was killed while it wrote a file
            if _INCOMPLETE.fullmatch(leftover.name):
                with suppress(OSError):
                    leftover.unlink()
        previous = [launch for launch in self._launches if launch.keys() != {"run_id"}]
        self._info = {**info, "run_id": self.run_id, "previous": previous}
        self._write(self._info)

    def note_change(self, config: Mapping[str, Any], change: Mapping[str, Any]) -> None:
        """Writes new settings of this process into run.json, and adds `change` to its list "changes". Raises ValueError
        if the file cannot be written."""
        self._info |= {"config": config, "changes": [*self._info.get("changes", []), change]}
        self._write(self._info)

    def remake(self) -> list[str]:
        """Makes the run directory again if it was deleted during the run, and returns a line that says so, or none. Its
        parents are not made: if they are gone, so is the disk. Does not raise if that fails."""
        if self.checkpoints.exists():
            return []
        try:
            self.path.mkdir(exist_ok=True)
            self.checkpoints.mkdir()
            write_atomic(self.run_file, self._content)
        except OSError:
            return []  # the next write reports the error
        return [f"{self.checkpoints} was deleted during the run: made again, without what was in it"]

    def _write(self, content: Mapping[str, Any]) -> None:
        self._content = to_json(content)
        try:
            write_atomic(self.run_file, self._content)
        except OSError as error:
            raise ValueError(f"{self.run_file} cannot be written: {error.strerror}") from error

    def _read_launches(self) -> list[dict[str, Any]]:
        """Returns what earlier processes wrote, oldest first. An unreadable file is renamed, not overwritten."""
        if not self.run_file.exists():
            return []
        launches = self.launches(self.path)
        if not launches:
            # The run gets a new id. Its checkpoints so far then count as another run's and are never deleted.
            self.run_file.replace(self.run_file.with_name("run.broken.json"))
        return launches

    @staticmethod
    def launches(path: Path) -> list[dict[str, Any]]:
        """Returns what the processes of the run in `path` wrote into run.json, oldest first; [] if it is not a run."""
        try:
            content = from_json((path / "run.json").read_bytes())
            previous = content.pop("previous", [])
            if not isinstance(content["run_id"], str) or not content["run_id"].isalnum():
                raise ValueError("run_id must be letters and digits")
            if not all(isinstance(launch, dict) for launch in previous):
                raise ValueError("previous must hold what earlier processes wrote")
            return [*previous, content]
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return []


def check_directory(path: Path, resume: "Resume | None") -> None:
    """Raises ValueError if a run must not begin in `path`, or be resumed there, because it would overwrite files of
    another run or of the user."""
    if not path.exists() or (resume is not None and resume.run == path.resolve()):
        return
    if not path.is_dir():
        raise ValueError(f"hydra.run.dir={path}: is a file; name a folder")
    harmless = (".hydra", ".lock")  # a start that failed leaves them
    names = sorted(each.name for each in path.iterdir() if each.name not in harmless)
    a_run = bool(RunDirectory.launches(path))
    if (resume is not None and names) or (a_run and any((path / "checkpoints").glob("*step_*"))):
        if a_run:
            raise ValueError(f"hydra.run.dir={path}: holds a run; resume={path} continues it, or name another folder")
        raise ValueError(
            f"hydra.run.dir={path}: holds {names[0]} and is not the run to resume;\n"
            "name a new folder, or leave hydra.run.dir out to continue in the run's own directory"
        )
    for name in () if a_run else _WRITTEN:
        taken = path / name
        if taken.is_file() or (taken.is_dir() and any(taken.iterdir())):
            raise ValueError(f"hydra.run.dir={path}: holds {name}, which a run would overwrite; name another folder")


def point_latest(outputs: Path, run: Path) -> str | None:
    """Makes OUTPUTS/latest point to `run`: a symbolic link, or a text file with the path if links do not work.

    It is replaced atomically. Returns a one-line warning, and does not raise, if it cannot be written.
    """
    pointer = Path(outputs) / LATEST
    temporary = pointer.with_name(f".{LATEST}-{uuid.uuid4().hex[:8]}")
    try:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        try:
            target = os.path.relpath(Path(run).resolve(), pointer.parent.resolve())
        except ValueError:  # another drive of Windows
            target = str(Path(run).resolve())
        try:
            if sys.platform == "win32":
                raise OSError("links need special rights on Windows")
            temporary.symlink_to(target, target_is_directory=True)
            os.replace(temporary, pointer)
        except OSError:
            temporary.unlink(missing_ok=True)
            if pointer.is_symlink():
                pointer.unlink()
            write_atomic(pointer, (target + "\n").encode("utf-8"))
    except OSError as error:
        return f"{pointer} was not updated: {error.strerror or error}; resume=latest will not find this run"
    return None


@dataclass(frozen=True)
class Resume:
    """Where to resume: an intact checkpoint, its run directory (None if the checkpoint was copied out of one), and one
    line for each damaged checkpoint that was skipped."""

    checkpoint: Path
    run: Path | None
    warnings: list[str]
    named: bool = False  # whether the user named this checkpoint itself, not its run

    @property
    def value(self) -> str:
        """The absolute path from which `resolve_resume` finds the same again."""
        return str(self.checkpoint if self.named or self.run is None else self.run)

    def settings(self) -> dict[str, Any]:
        """Returns the settings the run was trained with, a `document` of rlbot.settings. Raises ValueError if they
        cannot be read."""
        try:
            settings = from_json((self.checkpoint / "config.json").read_bytes())
            if not isinstance(settings, dict):
                raise ValueError("no settings")
        except (OSError, ValueError) as error:
            raise ValueError(f"resume={self.checkpoint}: config.json cannot be read ({error})") from error
        return settings


def find_resume(value: str | None, outputs: Path = OUTPUTS) -> Resume | None:
    """Returns where a command line with resume=VALUE resumes; None if it starts a new run. If torchrun restarted this
    process, it is the run that the earlier processes began. Raises ValueError as `resolve_resume`."""
    begun = TorchrunJob(outputs, job()).run()
    value = value if begun is None else str(begun)
    return None if value is None else resolve_resume(value, outputs)


def resolve_resume(value: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Resume:
    """Finds the checkpoint that SETTING=VALUE means: "latest" (the run that OUTPUTS/latest points to), a run directory,
    a directory of checkpoints, a text file with a path, or one checkpoint. Of several, the newest intact one is taken.

    Call it before `point_latest`. Raises ValueError that names the value and what to do if there is no intact
    checkpoint.
    """
    path = find_directory(value, outputs, setting)
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    # A damaged checkpoint may have lost its manifest, so its name counts as well.
    if (path / MANIFEST).exists() or (folder == path and path.name.startswith("step_")):
        return Resume(_sound(setting, value, path), _run_of(path.parent), [], named=True)
    found, warnings = valid_checkpoints(folder)
    if not found:
        raise ValueError(
            "\n".join(
                [
                    f"{setting}={value}: no intact checkpoint in {folder} ({len(warnings)} damaged)",
                    *warnings[:1],
                    "name another run or checkpoint"
                    + (", or start a new one with resume=null" * (setting == "resume")),
                ]
            )
        )
    return Resume(found[0], _run_of(folder), warnings)


def find_directory(value: str, outputs: Path = OUTPUTS, setting: str = "run") -> Path:
    """Returns the directory that SETTING=VALUE means: "latest" (the run that OUTPUTS/latest points to), a directory, or
    a text file with its path. Raises ValueError if there is none."""
    path = Path(outputs) / LATEST if value == LATEST else Path(value).expanduser()
    if path.is_file():
        path = _read_pointer(setting, value, path)
    if not path.is_dir():
        raise ValueError(
            f"{setting}={value}: there is no directory {path.absolute()}\n"
            f"give a run directory or a checkpoint directory, for example {setting}=outputs/DATE/TIME"
        )
    return path.resolve()


def _read_pointer(setting: str, value: str, path: Path) -> Path:
    try:
        with path.open("rb") as file:
            text = file.read(4096).decode("utf-8").strip()
        if not text or "\n" in text or "\0" in text:
            raise ValueError("it does not hold one path")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{setting}={value}: {path} is no pointer to a run: {error}\ngive a run directory or a checkpoint directory"
        ) from error
    return path.parent / text


def _sound(setting: str, value: str, path: Path) -> Path:
    fault = checkpoint_fault(path)
    if fault is None:
        return path
    others = [other for other in valid_checkpoints(path.parent)[0] if other != path]
    hint = f"{setting}={others[0]} is intact" if others else "there is no other intact one beside it"
    raise ValueError(f"{setting}={value}: {fault}\n{hint}")


def _run_of(folder: Path) -> Path | None:
    return folder.parent if folder.name == "checkpoints" else None


def describe_machine(project: Path | None = None) -> dict[str, Any]:
    """Returns the host name, platform, Python and package versions, the git commit of `project` (default: the working
    directory), and whether tracked files differ from it. Values that are unknown are None. Never raises."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    project = Path.cwd() if project is None else Path(project)
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": versions,
        "git_commit": _git(project, "rev-parse", "--verify", "HEAD"),
        "git_changed": None if changes is None else bool(changes),
    }


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=project,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
