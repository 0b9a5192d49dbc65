"""The settings of a resumed run: the checkpoint's settings become a root configuration for Hydra, and the command line
overrides them. So names, types and checks apply to what will be trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rlbot.settings.config import config_dir, load
from rlbot.settings.document import add_missing, document
from rlbot.settings.explain import composed, key
from rlbot.settings.schema import TrainConfig

ROOT = "resumed"  # name of the root configuration
_NOT_KEPT = ("resume", "debug")  # not taken from the checkpoint, only from the command line


def resume_of(overrides: Sequence[str]) -> str | None:
    """The value of resume=VALUE; None if it is missing or null. Raises HydraException if it cannot be parsed."""
    chosen = [each for each in overrides if key(each) == "resume"]
    value = OverridesParser.create().parse_override(chosen[-1]).value() if chosen else None
    return None if value is None else str(value)


def quoted(text: str) -> str:
    """Quotes any text so that it can be the VALUE of an override."""
    return "'" + text.replace("\\", "/").replace("'", "\\'") + "'"


def resumed_overrides(saved: Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the name of the root configuration to compose and the overrides for it, so that `overrides` change only
    what they name in the settings `saved` (a `document`).

    If a group is named (hardware=cpu), the whole group is read from its file. If a recipe is named (experiment=...,
    +sweep=...), the saved settings are not used at all. +NAME=VALUE may replace an existing item, and ~NAME may name
    one that is gone, so that the command line of the first start can be given again. Raises ValueError if `saved` is
    no such document.
    """
    keys = [key(each) for each in overrides]
    if {"experiment", "sweep"} & set(keys):
        return "train", list(overrides)
    root: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "train.yaml"), resolve=False)
    saved = {name: value for name, value in saved.items() if name not in _NOT_KEPT}
    try:
        add_missing(saved, document(load(composed([], "train"), TrainConfig)))
        for stage in saved["curriculum"]["stages"].values():
            stage["opponent"] = _short(stage["opponent"])
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume: the checkpoint's settings cannot be read ({type(error).__name__}: {error});\n"
            "name another run or checkpoint, or start a new run with resume=null"
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


def compose_resumed(saved: Mapping[str, Any], overrides: Sequence[str]) -> DictConfig:
    """Returns the configuration that Hydra composes from the settings of a checkpoint and the overrides."""
    root, changes = resumed_overrides(saved, overrides)
    return composed(changes, root)


def _short(opponent: Any) -> Any:
    """Writes {self: 1.0} as self, as the files do: then a mapping on the command line replaces it and is not merged."""
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
