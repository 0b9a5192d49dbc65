"""The user's own files that a run needs: their absolute paths, and copies of the files of their own parts in the run
directory, so that a run can be read and resumed on any machine."""

import ast
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rlbot
from rlbot.curriculum import KINDS
from rlbot.run.code import INDEX, newest_copies
from rlbot.run.files import to_json, write_atomic
from rlbot.settings.forms import AnchorConfig, OpponentConfig, Reset
from rlbot.settings.schema import TrainConfig
from rlbot.values.player_names import BUILT_IN, weights_of, with_weights
from rlbot.values.target import Target

_PACKAGE = Path(rlbot.__file__).resolve().parent


def absolute(config: TrainConfig) -> TrainConfig:
    """Returns the settings with all paths made absolute, so that a run can be resumed from any working directory."""
    meshes = config.env.collision_meshes
    stages = {
        name: dataclasses.replace(
            stage, opponent=_absolute_opponents(stage.opponent), reset=_absolute_resets(stage.reset)
        )
        for name, stage in config.curriculum.stages.items()
    }
    config = dataclasses.replace(
        config,
        env=dataclasses.replace(
            config.env,
            collision_meshes=None if meshes is None else _absolute(meshes),
            reset=_absolute_resets(config.env.reset),
        ),
        curriculum=dataclasses.replace(config.curriculum, stages=stages),
        rating=dataclasses.replace(config.rating, anchors=tuple(map(_absolute_anchor, config.rating.anchors))),
    )
    changed: TrainConfig = _changed(config, lambda _, target: _absolute_target(target))
    return changed


def own_files(config: TrainConfig) -> dict[str, Path]:
    """Returns the files of the user's own parts, by the dotted names of the parts."""
    found: dict[str, Path] = {}

    def note(key: str, target: Target) -> Target:
        if target.file is not None:
            found[key] = target.file
        return target

    _changed(config, note)
    return found


def _changed(value: Any, change: Callable[[str, Target], Target], key: str = "") -> Any:
    """Returns settings in which every `Target`, wherever it is, is replaced by what `change` makes of its dotted name
    and itself."""
    if isinstance(value, Target):
        return change(key, value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        if hasattr(value, "parse"):  # written in a form of its own: the names of its fields are no settings
            return dataclasses.replace(value, **{name: _changed(item, change, key) for name, item in items.items()})
        return dataclasses.replace(value, **_changed(items, change, key))
    if isinstance(value, Mapping):
        return {name: _changed(item, change, f"{key}.{name}" if key else name) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_changed(item, change, f"{key}.{i}") for i, item in enumerate(value))
    return value


def locate(config: TrainConfig, code: Path, timesteps: int) -> tuple[TrainConfig, list[str]]:
    """Returns the settings to use in a run that is resumed at `timesteps`, and a line for each file of the user's own
    that has changed or is gone. A file that still exists is used as it is now, otherwise its copy in `code`."""
    kept = newest_copies(code, timesteps)
    lines: dict[Path, str] = {}

    def found(key: str, target: Target) -> Target:
        file = target.file
        copy = kept.get(str(file))
        if file is None or copy is None:
            return target
        if not file.is_file():
            lines.setdefault(file, f"{file} is not there: {key} is taken from the copy in the run, {copy}")
            return target.at(copy)
        if file.read_bytes() != copy.read_bytes():
            lines[file] = f"{file} has changed since the run last started: the new one is used; the old one is {copy}"
        return target

    return _changed(config, found), list(lines.values())


def keep(config: TrainConfig, code: Path, timesteps: int) -> str | None:
    """Copies the user's own files, and the files beside them that they import, into a new folder in `code`. Returns a
    line that names them, or None if the newest copies are the same. Raises OSError if they cannot be written."""
    kept = newest_copies(code, timesteps)
    files: dict[str, bytes] = {}
    for file in own_files(config).values():
        if file.is_file():
            files |= {str(each): each.read_bytes() for each in with_neighbours(file)}
        else:
            files |= {place: copy.read_bytes() for place, copy in kept.items()}
    if files == {place: copy.read_bytes() for place, copy in kept.items()}:
        return None
    taken = [folder.name for folder in code.glob("step_*")]
    names = (f"step_{timesteps:09d}" + (f"-{number}" if number > 1 else "") for number in range(1, len(taken) + 2))
    folder = code / next(name for name in names if name not in taken)
    roots = list(dict.fromkeys(str(file.parent) for file in own_files(config).values()))
    index = {}
    for place, content in files.items():
        root = next((each for each in roots if Path(each) in Path(place).parents), str(Path(place).parent))
        number = roots.index(root) if root in roots else len(roots)
        # A subfolder for each folder that files come from, so that files of the same name do not clash.
        copy = Path(str(number) if number else "", Path(place).relative_to(root))
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        (folder / copy).write_bytes(content)
        index[place] = copy.as_posix()
    write_atomic(folder / INDEX, to_json(index))
    return f"Your own files copied to {folder}: {', '.join(index.values())}"


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


def _absolute_opponents(opponent: OpponentConfig) -> OpponentConfig:
    own = (*KINDS, *opponent.targets)
    shares = {name if name in own else _absolute_player(name): share for name, share in opponent.shares.items()}
    return dataclasses.replace(opponent, shares=shares)


def _absolute_player(name: str) -> str:
    """Returns the name of a player with its path made absolute."""
    weights = weights_of(name)
    return _absolute(name) if weights is None else with_weights(name, _absolute(weights))


def _absolute_anchor(anchor: AnchorConfig) -> AnchorConfig:
    player = anchor.player
    name = player.name if player.target is not None else _absolute_player(player.name)
    return dataclasses.replace(anchor, player=dataclasses.replace(player, name=name))


def _absolute_target(target: Target) -> Target:
    if target.file is not None:
        return target.at(Path(_absolute(str(target.file))))
    weights = target.arguments.get("weights")
    if target.name in BUILT_IN.values() and isinstance(weights, str):
        return dataclasses.replace(target, arguments={**target.arguments, "weights": _absolute(weights)})
    return target


def _absolute_resets(resets: Mapping[str, Reset]) -> dict[str, Reset]:
    return {
        name: reset if reset.recordings is None else dataclasses.replace(reset, recordings=_absolute(reset.recordings))
        for name, reset in resets.items()
    }


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
