"""The settings of a run that is resumed: those of its checkpoint, as a root configuration that Hydra lays the command
line over, so that names, types and checks mean what will be trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rlbot.settings.config import config_dir, load
from rlbot.settings.document import document, fill
from rlbot.settings.explain import composed, key
from rlbot.settings.schema import TrainConfig

ROOT = "resumed"  # name of the root configuration
_NOT_KEPT = ("resume", "debug")  # of the command line alone


def resume_of(overrides: Sequence[str]) -> str | None:
    """The value of resume=VALUE; None if there is none, or null. Raises what Hydra does for what it cannot read."""
    chosen = [each for each in overrides if key(each) == "resume"]
    value = OverridesParser.create().parse_override(chosen[-1]).value() if chosen else None
    return None if value is None else str(value)


def quoted(text: str) -> str:
    """A text as the VALUE of an override, whatever is in it."""
    return "'" + text.replace("\\", "/").replace("'", "\\'") + "'"


def lay_over(saved: Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The root configuration to compose, and the overrides for it, so that a command line changes the settings `saved`
    (a `document`) by what it names.

    A group that is named (hardware=cpu) is taken whole from its file; a recipe (experiment=..., +sweep=...) makes the
    command line count in everything. +NAME=VALUE replaces what is there, ~NAME may be gone already: the command line of
    the first start can be given again. Raises ValueError if `saved` is no such document.
    """
    keys = [key(each) for each in overrides]
    if {"experiment", "sweep"} & set(keys):
        return "train", list(overrides)
    root: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "train.yaml"), resolve=False)
    saved = {name: value for name, value in saved.items() if name not in _NOT_KEPT}
    try:
        fill(saved, document(load(composed([], "train"), TrainConfig)))
        for stage in saved["curriculum"]["stages"].values():
            stage["opponent"] = _short(stage["opponent"])
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume: the checkpoint's settings cannot be read ({type(error).__name__}: {error});\n"
            "name another run or checkpoint, or start anew with resume=null"
        ) from error
    groups = [name for each in root["defaults"] if isinstance(each, dict) for name in each if name in saved]
    named = {name for name in groups if name in keys}
    defaults = [each for each in root["defaults"] if not _is_of(each, set(groups) - named)]
    kept = {name: value for name, value in saved.items() if name not in named}
    ConfigStore.instance().store(name=ROOT, node={**root, **kept, "defaults": defaults})
    changes: list[str] = []
    for text, name in zip(overrides, keys, strict=True):
        there = "." in name and _is_in(kept, name)
        if text.startswith("+") and not text.startswith("++") and there:
            changes.append(f"~{name}")
        if not (text.startswith("~") and "." in name and name.partition(".")[0] in kept and not there):
            changes.append(text)
    return ROOT, changes


def compose_over(saved: Mapping[str, Any], overrides: Sequence[str]) -> DictConfig:
    """What Hydra makes of a command line over the settings of a checkpoint."""
    root, changes = lay_over(saved, overrides)
    return composed(changes, root)


def _short(opponent: Any) -> Any:
    """{self: 1.0} as self: a mapping on the command line then replaces it, as it does in the files."""
    return next(iter(opponent)) if isinstance(opponent, dict) and list(opponent.values()) == [1.0] else opponent


def _is_of(default: Any, groups: set[str]) -> bool:
    return isinstance(default, dict) and bool(set(default) & groups)


def _is_in(settings: Any, name: str) -> bool:
    for step in name.split("."):
        try:
            settings = settings[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
