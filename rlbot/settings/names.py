"""The names of all settings, and the message for a name that does not exist."""

import dataclasses
import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

from rlbot.settings.schema import TrainConfig
from rlbot.values.convert import names_of, no_such_name
from rlbot.values.target import Target

# Settings of older versions, and why they are gone.
GONE = {"hardware.compile": "there is no such setting any more; on a GPU updates are CUDA graphs, which are faster"}
NAME = "NAME"  # stands for a name that the user chooses, such as that of a stage


def is_group(kind: Any) -> bool:
    """Whether a type is a group of settings, each with a dotted name of its own."""
    return dataclasses.is_dataclass(kind) and not _reads_itself(kind)


def _reads_itself(kind: Any) -> bool:
    """Whether a type is written in a form of its own, such as a reward term: a weight, or {_target_: ...}."""
    return any(hasattr(each, "parse") for each in (kind, *get_args(kind)) if get_origin(kind) is not dict)


def settings(kind: Any = TrainConfig, prefix: str = "") -> Iterator[str]:
    """Yields the dotted names of all settings; NAME stands for the name of a stage."""
    for name, inner in get_type_hints(kind).items():
        key = prefix + name
        yield key
        if is_group(inner):
            yield from settings(inner, f"{key}.")
        elif get_origin(inner) is dict and is_group(get_args(inner)[1]):
            yield from settings(get_args(inner)[1], f"{key}.{NAME}.")


def unknown(key: str, root: Any = TrainConfig) -> str:
    """The message for a setting that does not exist, with the nearest name that does."""
    if key in GONE:
        return f"{key}: {GONE[key]}"
    if "/" in key and _kind_of(setting := key.replace("/", "."), root) is not None:
        return f"{key}: is no folder of conf/, but a setting; write {setting}=VALUE"
    key = re.sub(r"\[(\d+)\]", r".\1", key)
    group, _, name = key.rpartition(".")
    parent = _kind_of(group, root)
    if get_origin(parent) is dict and is_group(get_args(parent)[1]):
        return f"{key}: there is no stage of this name; a stage is named, as in {group}.duel, not numbered"
    if get_origin(parent) is dict or _reads_itself(parent):
        return unknown_name(key, name, _names_in(parent))
    siblings = list(get_type_hints(parent)) if dataclasses.is_dataclass(parent) else []
    if group and (near := difflib.get_close_matches(name, siblings, 1)):
        return f"{key}: no such setting; did you mean {group}.{near[0]}?"
    names = {full.rpartition(".")[2]: full for full in reversed(list(settings(root)))}
    if near := difflib.get_close_matches(name, list(names), 1, 0.8):  # the right name in the wrong place
        return f"{key}: no such setting; did you mean {names[near[0]]}?"
    if group and siblings:
        return f"{key}: no such setting; {group} has: {', '.join(siblings)}"
    return f"{key}: no such setting; --cfg job shows all there are"


def _kind_of(key: str, root: Any) -> Any:
    """The type of a setting or of a group of settings; None if there is none of that name."""
    kind: Any = root
    for name in key.split(".") if key else []:
        if get_origin(kind) in (tuple, dict):
            kind = get_args(kind)[0 if get_origin(kind) is tuple else 1]
        else:
            kind = get_type_hints(kind, include_extras=True).get(name) if dataclasses.is_dataclass(kind) else None
    return kind


def _names_in(kind: Any) -> list[str]:
    """The names that a mapping may hold; empty if any name is allowed."""
    if _reads_itself(kind):
        return []
    if get_args(kind)[1] is Target:
        return []
    return list(names_of(get_args(kind)[0])) or built_in_terms()


def unknown_name(key: str, name: str, names: list[str]) -> str:
    if not names or name in names:
        return f"{key}: not in the chosen file yet; add it with +{key}=VALUE"
    return no_such_name(key, name, names)


def built_in_resets() -> list[str]:
    from rlbot.env.reset import RESETS  # see below

    return list(RESETS)


def largest_team(observation: str) -> int:
    """The most cars of a team that a built-in observation is for."""
    from rlbot.env.observations import Observation  # see below

    return Observation(observation).largest_team


def built_in_terms() -> list[str]:
    from rlbot.reward import TERMS  # imported here because Numba is slow to import: other errors come at once

    return list(TERMS)
