"""Files of the user's that a run needs: their absolute places, and copies of its reward files in the run directory, so
that a run can be understood, and goes on, anywhere."""

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import rlbot
from rlbot.curriculum import KINDS
from rlbot.run.files import from_json, to_json, write_atomic
from rlbot.settings.schema import OpponentConfig, RewardTerm, TrainConfig

_INDEX = "files.json"  # in a folder of copies: the place of each file, and its copy
_STEP = re.compile(r"step_(\d+)(?:-(\d+))?")
_PACKAGE = Path(rlbot.__file__).resolve().parent


def absolute(config: TrainConfig) -> TrainConfig:
    """The same settings with every path as an absolute one: they mean the same in whatever folder a run is resumed."""
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
    """The file of every term of the user's own that is named by one, by the term's name."""
    named = {name: (term.target or "").rpartition(":")[0] for name, term in config.reward.terms.items()}
    return {name: Path(file) for name, file in named.items() if file}


def locate(config: TrainConfig, code: Path, timesteps: int) -> tuple[TrainConfig, list[str]]:
    """The settings to play with, of a run that goes on at `timesteps` and has copies of its reward files in `code`: a
    file that is where it was is used as it is now, else its copy. And a line for each file that is not what it was."""
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
            lines[file] = f"{file} has changed since the run last started: it is used as it is now; as it was: {copy}"
    return dataclasses.replace(config, reward=dataclasses.replace(config.reward, terms=terms)), list(lines.values())


def keep(config: TrainConfig, code: Path, timesteps: int) -> str | None:
    """Copies the reward files, with the files beside them that they import, into a new folder in `code`; a line that
    names them, None if the newest copies are the same. Raises OSError."""
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
        copy = Path(str(number) if number else "", Path(place).relative_to(root))  # names of one folder cannot clash
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        (folder / copy).write_bytes(content)
        index[place] = copy.as_posix()
    write_atomic(folder / _INDEX, to_json(index))
    return f"Reward files copied to {folder}: {', '.join(index.values())}"


def with_neighbours(file: Path) -> list[Path]:
    """A Python file, and those in its folder and below that it imports, and that these import. What is installed, or
    imported by other means than an import statement, is not among them."""
    root, found, waiting = file.parent, [file], [file]
    while waiting:
        for module in _imported(waiting.pop()):
            for each in (root.joinpath(*module).with_suffix(".py"), root.joinpath(*module, "__init__.py")):
                if each.is_file() and each not in found and _PACKAGE not in each.resolve().parents:
                    found.append(each)
                    waiting.append(each)
    return found


def _imported(file: Path) -> Iterator[list[str]]:
    """The modules that a file may import, and the packages they lie in, as their parts."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # told where it is loaded
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
    """The newest copies from up to `timesteps`, by the places of the files."""
    matches = [(match, folder) for folder in code.glob("step_*") if (match := _STEP.fullmatch(folder.name))]
    known = [((int(match[1]), int(match[2] or 1)), folder) for match, folder in matches if int(match[1]) <= timesteps]
    for _, folder in sorted(known, reverse=True):
        try:
            index = from_json((folder / _INDEX).read_bytes())
            copies = {str(place): folder / str(copy) for place, copy in index.items()}
        except (OSError, ValueError, AttributeError):  # cut short by a kill
            continue
        if all(copy.is_file() for copy in copies.values()):
            return copies
    return {}


def _at(term: RewardTerm, file: Path | None) -> RewardTerm:
    """The same term with its file at another place; at its own absolute one by default."""
    place, colon, function = (term.target or "").rpartition(":")
    if not place:
        return term
    return dataclasses.replace(term, target=f"{_absolute(place) if file is None else file}{colon}{function}")


def _absolute_names(shares: Mapping[str, float]) -> dict[str, float]:
    return {name if name in KINDS else _absolute(name): share for name, share in shares.items()}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
