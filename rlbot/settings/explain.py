"""Turns errors that Hydra raises for wrong input into lines that name the setting and say what to do."""

import re
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from rlbot.settings.config import config_dir
from rlbot.settings.errors import ConfigError, one_line
from rlbot.settings.names import unknown
from rlbot.settings.schema import ROOTS

# Options of Hydra that need an extra of pyproject.toml, by the name of the extra.
EXTRAS = {
    "hydra/sweeper=optuna": "sweep",
    "hydra/launcher=joblib": "sweep",
    "hydra/launcher=submitit_local": "slurm",
    "hydra/launcher=submitit_slurm": "slurm",
    "hydra/launcher=ray": "ray",
}
# What Hydra raises for wrong input. Any other exception is a bug of ours.
INPUT_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError, TypeError, OSError, UserWarning)


def composed(overrides: Sequence[str], config_name: str) -> DictConfig:
    """Returns the configuration that Hydra composes from overrides, unchecked. May be called within a Hydra job."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            return hydra.compose(config_name, list(overrides))
    finally:
        GlobalHydra.instance().hydra = running


def explain(
    error: Exception, overrides: Sequence[str] = (), config_name: str = "train", directory: Path | None = None
) -> ConfigError:
    """Returns an error of Hydra or OmegaConf as lines that name the setting and say what to do. `directory` is the run
    directory, if one was chosen already."""
    if isinstance(error, ConfigError):
        return error
    explained = ConfigError(one_line(_explain(error, overrides, config_name, directory)))
    return explained.with_traceback(error.__traceback__)  # HYDRA_FULL_ERROR=1 shows it


def _explain(error: Exception, overrides: Sequence[str], config_name: str, directory: Path | None) -> str:
    text = str(error).strip()
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(error, OverrideParseException):
        return _explain_syntax(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and "primary" not in text:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if extra := EXTRAS.get(f"{group}={option}"):
            return f"{group}={option}: is not installed yet; in a checkout of this project: {_install(extra)}"
        there_are = f"; there are: {', '.join(error.options)}" if error.options else ""
        return f"{group}={option}: no such option of {group}{there_are}"
    if isinstance(cause, OmegaConfBaseException):
        name = str(cause.full_key or "")
        if name and isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and not name.startswith("hydra."):
            return unknown(name, ROOTS[config_name])
        text = f"{name}: {cause}" if name else str(cause)
    quoted = text.split("'")[1] if text.count("'") > 1 else ""
    if text.startswith(("Ambiguous value", "Sweep parameters")):
        return f"{quoted}: many values need --multirun; a list is written NAME=[A,B]"
    if text.startswith("Could not append"):
        return f"{quoted}: is there already; leave out the +"
    if text.startswith("Could not delete") and text.endswith("does not exist."):
        return unknown(quoted, ROOTS[config_name])
    if text.startswith("Could not override 'sweep'"):
        return "sweep: a recipe for a sweep is added, +sweep=NAME with -m"
    if isinstance(error, YAMLError):  # the file and the line come last in its text
        text = " ".join(text.split())
    if isinstance(error, OSError) and error.filename is None and directory is not None:  # raised by Hydra's own files
        return f"{directory}: cannot be written: {error.strerror or error}"
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    return _with_override(error, next(iter(text.splitlines()), ""), overrides, config_name)


def _with_override(error: Exception, line: str, overrides: Sequence[str], config_name: str) -> str:
    """Puts the override that caused the error in front of the line, unless the line names it already."""
    if not isinstance(error, INPUT_ERRORS):
        line = f"{type(error).__name__}: {line}; HYDRA_FULL_ERROR=1 shows where"
    if any(key(each) and key(each) in line for each in overrides if not each.startswith("-")):
        return line
    return f"{' '.join(_overrides_at_fault(error, overrides, config_name))}: {line}" if overrides else line


def _install(extra: str) -> str:
    return f'python -m pip install -c constraints.txt -e ".[{extra}]"'


def _explain_syntax(override: str) -> str:
    if "=" not in override:
        return f"{override or chr(39) * 2}: must be NAME=VALUE, such as seed=1"
    if not override.isascii():
        return f"{override}: letters beyond ASCII need quotes inside quotes: \"{key(override)}='VALUE'\""
    if match := re.search(r"(.+)\.(\d\w*[A-Za-z_]\w*)=", override):
        return f"{override}: a name that begins with a digit goes in braces: {match[1]}={{{match[2]}:VALUE}}"
    return f"{override}: cannot be read as NAME=VALUE; special signs need quotes: NAME=\"'VALUE'\""


def key(override: str) -> str:
    """The name of the setting that an override changes."""
    return override.lstrip("+~").partition("=")[0]


def _overrides_at_fault(error: Exception, overrides: Sequence[str], config_name: str) -> Sequence[str]:
    """The override that names the error's file, or that alone causes the same error; all overrides if none does."""
    for override in overrides:
        value = override.partition("=")[2].strip("'\"")
        if isinstance(error, OSError) and value and value in str(error.filename):
            return [override]
        try:
            composed([override], config_name)
        except Exception as other:
            if str(other) == str(error):
                return [override]
    return overrides
