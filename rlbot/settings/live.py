"""The settings that may change while a run trains, with the checks of a start. Does not use Hydra."""

import re
from collections.abc import Mapping
from typing import Any

from rlbot.settings.document import document, load_document
from rlbot.settings.errors import ConfigError
from rlbot.settings.names import NAME, settings, unknown
from rlbot.settings.schema import TrainConfig

LIVE = (
    *(
        f"learner.{name}"
        for name in (
            "learning_rate", "anneal_learning_rate", "anneal_from", "anneal_to", "entropy_coef", "clip_range",
            "clip_range_value", "value_coef", "target_kl", "max_grad_norm",
        )
    ),
    f"reward.terms.{NAME}", f"curriculum.stages.{NAME}.reward.{NAME}", f"curriculum.stages.{NAME}.until",
    "total_timesteps", "checkpoint_interval", "keep_best", "log_interval", "hardware.time_limit",
)  # fmt: skip
_ALLOWED = re.compile("|".join(re.escape(name).replace(NAME, r"\w+") for name in LIVE))


def changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """Returns the settings with `changes` (values as in YAML, by dotted names). Raises ConfigError if one of them may
    not change while a run trains, or the new settings are wrong."""
    plain = document(config)
    for key, value in changes.items():
        if not _ALLOWED.fullmatch(key):
            raise ConfigError(_refused(key))
        *path, name = key.split(".")
        group = plain
        for step in path:
            if step not in group:
                raise ConfigError(unknown(".".join(path)))
            group = group[step]
        if isinstance(value, Mapping) and "_target_" in value:
            raise ConfigError(f"{key}: only its weight can change while a run trains; resume it with another _target_")
        own = isinstance(group.get(name), Mapping) and "_target_" in group[name]
        group[name] = {**group[name], "weight": value} if own else value
    return load_document(plain)


def value_of(config: TrainConfig, key: str) -> Any:
    """Returns the value of a setting in `LIVE`, as in YAML; of a term of the user's own, its weight. None: not set."""
    value = document(config)
    for step in key.split("."):
        value = value.get(step)
    return value["weight"] if isinstance(value, Mapping) and "_target_" in value else value


def _refused(key: str) -> str:
    plain = re.sub(r"^(curriculum\.stages)\.\w+", rf"\1.{NAME}", key)
    if plain not in set(settings(TrainConfig)):
        return unknown(key)
    shown = ", ".join(name.removeprefix("learner.") for name in LIVE)
    return f"{key}: cannot change while a run trains, only after resume=; these can: {shown}"
