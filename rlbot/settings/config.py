"""Converts a configuration that Hydra composed into checked settings."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlbot.settings.document import load_document
from rlbot.settings.errors import ConfigError
from rlbot.settings.schema import Root
from rlbot.values.convert import MISSING


def config_dir() -> Path:
    """The folder conf/: inside the package if it was installed from a wheel, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return next(folder for folder in (package / "conf", package.parent / "conf") if folder.is_dir())


def load(cfg: DictConfig, kind: type[Root]) -> Root:
    """Returns a composed configuration as typed, frozen objects. Raises ConfigError with all problems found."""
    plain: dict[str, Any] = {}
    for name in cfg:
        try:
            if name != "hydra":
                value = MISSING if OmegaConf.is_missing(cfg, name) else cfg[name]
                is_group = OmegaConf.is_config(value)
                plain[str(name)] = OmegaConf.to_container(value, resolve=True) if is_group else value
        except OmegaConfBaseException as error:
            raise ConfigError(f"{error.full_key or str(name)}: {str(error).splitlines()[0]}") from error
    return load_document(plain, kind)
