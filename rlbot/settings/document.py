"""Plain values (what YAML and JSON hold) to settings that are known to be sound, and back. No Hydra in here."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rlbot.settings.checks import check
from rlbot.settings.errors import ConfigError, one_line
from rlbot.settings.names import NAME, settings, unknown
from rlbot.settings.schema import OpponentConfig, RewardTerm, Root, TrainConfig
from rlbot.values.convert import Converter


def load_document(
    plain: Mapping[str, Any],
    kind: type[Root] = TrainConfig,  # type: ignore[assignment]  # a default of a type that is still open
) -> Root:
    """The same from plain values, such as `document` gives. Raises ConfigError with every problem found."""
    converter = Converter(lambda key: unknown(key, kind))
    config: Root = converter.convert(kind, plain, "")
    if not converter.problems:
        converter.check_names()
    problems = converter.problems or list(check(config))
    if problems:
        raise ConfigError(*map(one_line, problems))
    return config


def document(config: Any) -> Any:
    """JSON-able values of settings, in the form of the YAML files: what checkpoints and run.json hold."""
    if isinstance(config, RewardTerm):
        return config.weight if config.target is None else config.document()
    if isinstance(config, OpponentConfig):
        return config.document()
    if dataclasses.is_dataclass(config):
        return {each.name: document(getattr(config, each.name)) for each in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {name: document(value) for name, value in config.items()}
    return [document(value) for value in config] if isinstance(config, tuple) else config


def fill(saved: dict[str, Any], chosen: Mapping[str, Any]) -> None:
    """Give `saved`, a `document` of an older version, the settings that came since, as `chosen` has them."""
    stages = saved["curriculum"]["stages"]
    if isinstance(stages, list):  # until they had names as keys
        saved["curriculum"]["stages"] = {each.pop("name"): each for each in stages}
    for key in settings(TrainConfig):
        *path, name = key.split(".")
        if NAME not in path:  # the items of a mapping are the user's
            target: Any = saved
            source: Any = chosen
            for step in path:
                target, source = target[step], source[step]
            target.setdefault(name, source[name])
