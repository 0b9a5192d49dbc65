"""Converts plain values (as in YAML and JSON) into checked settings, and back. Does not use Hydra."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rlbot.settings.checks import check
from rlbot.settings.errors import ConfigError, one_line
from rlbot.settings.names import GONE, NAME, settings, unknown
from rlbot.settings.schema import Root, TrainConfig
from rlbot.values.convert import Converter


def load_document(
    plain: Mapping[str, Any],
    kind: type[Root] = TrainConfig,  # type: ignore[assignment]  # mypy allows no default for a type variable
) -> Root:
    """Returns checked settings from plain values, such as `document` returns. Raises ConfigError with all problems."""
    converter = Converter(lambda key: unknown(key, kind))
    config: Root = converter.convert(kind, plain, "")
    if not converter.problems:
        converter.check_names()
    problems = converter.problems or list(check(config))
    if problems:
        raise ConfigError(*map(one_line, problems))
    return config


def document(config: Any) -> Any:
    """Returns settings as JSON-able values, in the form of the YAML files. Checkpoints and run.json hold them."""
    if hasattr(config, "document"):
        return config.document()
    if dataclasses.is_dataclass(config):
        return {each.name: document(getattr(config, each.name)) for each in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {name: document(value) for name, value in config.items()}
    return [document(value) for value in config] if isinstance(config, tuple) else config


def add_missing(saved: dict[str, Any], chosen: Mapping[str, Any]) -> None:
    """Adds to `saved`, a `document` of an older version, the settings that it lacks, with their values in `chosen`, and
    removes those that are gone."""
    stages = saved["curriculum"]["stages"]
    if isinstance(stages, list):  # older versions saved stages as a list
        saved["curriculum"]["stages"] = {each.pop("name"): each for each in stages}
    for key in GONE:
        group, name = key.split(".")
        saved.get(group, {}).pop(name, None)
    for key in settings(TrainConfig):
        *path, name = key.split(".")
        if NAME not in path:  # the items of such a mapping are the user's own; nothing is added to them
            target: Any = saved
            source: Any = chosen
            for step in path:
                target, source = target[step], source[step]
            target.setdefault(name, source[name])
