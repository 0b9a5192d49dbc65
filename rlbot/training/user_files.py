"""The user's own files that a run needs: their absolute paths, and copies of the reward files in the run directory, so
that a run can be read and resumed on any machine."""

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import rlbot
from rlbot.curriculum import KINDS
from rlbot.run.files import from_json, to_json, write_atomic
from rlbot.settings.schema import OpponentConfig, RewardTerm, TrainConfig

_INDEX = "files.json"  # in a folder of copies: the copy of each file, by the file's original path
_STEP = re.compile(r"step_(\d+)(?:-(\d+))?")
_PACKAGE = Path(rlbot.__file__).resolve().parent


def absolute(config: TrainConfig) -> TrainConfig:
    """Returns the settings with all paths made absolute, so that a run can be resumed from any working directory."""
    meshes = config.env.collision_meshes
    stages = {
        name: dataclasses.replace(stage, opponent=OpponentConfig(_absolute_names(stage.opponent.shares)))
        for name, stage in config.curriculum.stages.items()
    }
    return dataclasses.replace(
        config,
        env=dataclasses.replace(config.env, collision_meshes=None if meshes is None else _absolute(meshes)),
        curriculum=dataclasses.replace(config.curriculum, stages=stages),
        reward=dataclasses.replace(config.reward, terms={n: _at(t, None) for n, t in config.reward.terms.items()}),
    )


def reward_files(config: TrainConfig) -> dict[str, Path]:
    """Returns the files of the user's own reward terms, by the terms' names."""
    named = {name: (term.target or "").rpartition(":")[0] for name, term in config.reward.terms.items()}
    return {name: Path(file) for name, file in named.items() if file}


def locate(config: TrainConfig, code: Path, timesteps: int) -> tuple[TrainConfig, list[str]]:
    """Returns the settings to use in a run that is resumed at `timesteps`, and a line for each reward file that has
    changed or is gone. A file that still exists is used as it is now, otherwise its copy in `code`."""
    kept = _newest(code, timesteps)
    lines: dict[Path, str] = {}
    terms = dict(config.reward.terms)
    for name, file in reward_files(config).items():
        copy = kept.get(str(file))
        if copy is None:
            continue
        if not file.is_file():
            terms[name] = _at(terms[name], copy)
            lines[file] = f"{file} is not there: reward.terms.{name} is taken from the copy in the run, {copy}"
        elif file.read_bytes() != copy.read_bytes():
            lines[file] = f"{file} has changed since the run last started: the new one is used; the old one is {copy}"
    return dataclasses.replace(config, reward=dataclasses.replace(config.reward, terms=terms)), list(lines.values())


def keep(config: TrainConfig, code: Path, timesteps: int) -> str | None:
    """Copies the reward files, and the files beside them that they import, into a new folder in `code`. Returns a line
    that names them, or None if the newest copies are the same. Raises OSError if they cannot be written."""
    kept = _newest(code, timesteps)
    files: dict[str, bytes] = {}
    for file in reward_files(config).values():
        if file.is_file():
            files |= {str(each): each.read_bytes() for each in with_neighbours(file)}
        else:
            files |= {place: copy.read_bytes() for place, copy in kept.items()}
    if files == {place: copy.read_bytes() for place, copy in kept.items()}:
        return None
    taken = [folder.name for folder in code.glob("step_*")]
    names = (f"step_{timesteps:09d}" + (f"-{number}" if number > 1 else "") for number in range(1, len(taken) + 2))
    folder = code / next(name for name in names if name not in taken)
    roots = list(dict.fromkeys(str(file.parent) for file in reward_files(config).values()))
    index = {}
    for place, content in files.items():
        root = next((each for each in roots if Path(each) in Path(place).parents), str(Path(place).parent))
        number = roots.index(root) if root in roots else len(roots)
        # A subfolder for each folder that files come from, so that files of the same name do not clash.
        copy = Path(str(number) if number else "", Path(place).relative_to(root))
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        (folder / copy).write_bytes(content)
        index[place] = copy.as_posix()
    write_atomic(folder / _INDEX, to_json(index))
    return f"Reward files copied to {folder}: {', '.join(index.values())}"


def with_neighbours(file: Path) -> list[Path]:
    """Returns a Python file and all files in its folder or below that it imports, directly or not. Installed packages,
    and files that are imported without an import statement, are not found."""
    root, found, waiting = file.parent, [file], [file]
    while waiting:
        for module in _imported(waiting.pop()):
            for each in (root.joinpath(*module).with_suffix(".py"), root.joinpath(*module, "__init__.py")):
                if each.is_file() and each not in found and _PACKAGE not in each.resolve().parents:
                    found.append(each)
                    waiting.append(each)
    return found


def _imported(file: Path) -> Iterator[list[str]]:
    """Yields the modules that a file may import, and the packages they lie in, each split at its dots."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # reported when the file is loaded
        return
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    for name in names:
        parts = name.split(".")
        yield from (parts[:end] for end in range(1, len(parts) + 1))


def _newest(code: Path, timesteps: int) -> Mapping[str, Path]:
    """Returns the newest complete copies that were made at `timesteps` or before, by the files' original paths."""
    matches = [(match, folder) for folder in code.glob("step_*") if (match := _STEP.fullmatch(folder.name))]
    known = [((int(match[1]), int(match[2] or 1)), folder) for match, folder in matches if int(match[1]) <= timesteps]
    for _, folder in sorted(known, reverse=True):
        try:
            index = from_json((folder / _INDEX).read_bytes())
            copies = {str(place): folder / str(copy) for place, copy in index.items()}
        except (OSError, ValueError, AttributeError):  # incomplete: the process was killed while it wrote
            continue
        if all(copy.is_file() for copy in copies.values()):
            return copies
    return {}


def _at(term: RewardTerm, file: Path | None) -> RewardTerm:
    """Returns the term with the path of its file replaced by `file`; None: by its own absolute path."""
    place, colon, function = (term.target or "").rpartition(":")
    if not place:
        return term
    return dataclasses.replace(term, target=f"{_absolute(place) if file is None else file}{colon}{function}")


def _absolute_names(shares: Mapping[str, float]) -> dict[str, float]:
    return {name if name in KINDS else _absolute(name): share for name, share in shares.items()}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
