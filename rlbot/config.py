"""From a composed configuration to settings that are known to be sound.

`load` turns it into the frozen objects of rlbot.schema and checks what no value has alone, across groups; where
anything is wrong it raises one `ConfigError` that names every fault.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlbot.schema import (
    BenchConfig,
    EvaluateConfig,
    LearncheckConfig,
    OpponentConfig,
    RewardTerm,
    Root,
    StageConfig,
    TrainConfig,
)
from rlbot.typed import MISSING, Converter, names_of, shown

MAX_LINES = 3
MAX_WEIGHTS = 100_000_000  # of a network: 0.4 GB, and three times that to train it
MAX_POOL = 4_000_000_000  # weights of all versions in the pool: 16 GB


class ConfigError(ValueError):
    """Settings that a user has to mend. `problems` holds all of them, the message their first three lines."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        lines = [line for problem in self.problems for line in problem.splitlines() if line.strip()]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 1 :] = [f"and {len(lines) - MAX_LINES + 1} more"]
        return "\n".join(lines)


def one_line(text: str) -> str:
    """The same without what would break or colour a line: a line feed becomes a backslash and an n."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def config_dir() -> Path:
    """The folder conf/: inside the package where it was installed from a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return next(folder for folder in (package / "conf", package.parent / "conf") if folder.is_dir())


def load(cfg: DictConfig, kind: type[Root]) -> Root:
    """A composed configuration as typed, frozen objects. Raises ConfigError with every problem found."""
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


def load_document(
    plain: Mapping[str, Any],
    kind: type[Root] = TrainConfig,  # type: ignore[assignment]  # a default of a type that is still open
) -> Root:
    """The same from plain values, such as `document` gives. Raises ConfigError with every problem found."""
    converter = Converter(lambda key: unknown(key, kind))
    config: Root = converter.convert(kind, plain, "")
    problems = converter.problems or list(_check(config))
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
    for key in settings(TrainConfig):
        *path, name = key.split(".")
        if "0" not in path:  # the items of a list are the user's
            target: Any = saved
            source: Any = chosen
            for step in path:
                target, source = target[step], source[step]
            target.setdefault(name, source[name])


def settings(kind: Any = TrainConfig, prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings; an item of a list is called 0."""
    for name, inner in get_type_hints(kind).items():
        key = prefix + name
        yield key
        if dataclasses.is_dataclass(inner):
            yield from settings(inner, f"{key}.")
        elif get_origin(inner) is tuple and dataclasses.is_dataclass(get_args(inner)[0]):
            yield from settings(get_args(inner)[0], f"{key}.0.")


def unknown(key: str, root: Any = TrainConfig) -> str:
    """The line for a setting that does not exist, with the nearest one that does."""
    key = re.sub(r"\[(\d+)\]", r".\1", key)
    group, _, name = key.rpartition(".")
    parent = _kind_of(group, root)
    if get_origin(parent) is dict or parent is RewardTerm:
        return _unknown_name(key, name, _names_in(parent))
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
    """The type of a setting or of a group of settings; None where there is none of that name."""
    kind: Any = root
    for name in key.split(".") if key else []:
        if get_origin(kind) in (tuple, dict):
            kind = get_args(kind)[0 if get_origin(kind) is tuple else 1]
        else:
            kind = get_type_hints(kind, include_extras=True).get(name) if dataclasses.is_dataclass(kind) else None
    return kind


def _names_in(kind: Any) -> list[str]:
    """The names that a mapping may hold; none where any will do."""
    if kind is RewardTerm:
        return []
    return list(names_of(get_args(kind)[0])) or _built_in_terms()


def _unknown_name(key: str, name: str, names: list[str]) -> str:
    if not names or name in names:
        return f"{key}: not in the chosen file yet; add it with +{key}=VALUE"
    near = difflib.get_close_matches(name, names, 1)
    return f"{key}: no such name; {f'did you mean {near[0]}?' if near else 'there are: ' + ', '.join(names)}"


def _built_in_terms() -> list[str]:
    from rlbot.reward import TERMS  # imports Numba: late, so that a slip elsewhere is answered at once

    return list(TERMS)


def _check(config: TrainConfig | EvaluateConfig) -> Iterator[str]:
    """The problems that no value has alone."""
    yield from _check_training(config) if isinstance(config, TrainConfig) else _check_evaluation(config)


def _check_evaluation(config: EvaluateConfig) -> Iterator[str]:
    yield from _check_path("checkpoint", config.checkpoint)
    if config.opponent not in ("random", "idle"):
        yield from _check_path("opponent", config.opponent)
    for i, other in enumerate(config.others):
        yield from _check_path(f"others.{i}", other)
    if config.others and not config.tournament:
        yield f"others={shown(list(config.others))}: only a tournament has others; add tournament=true"
    yield from _check_meshes("collision_meshes", config.collision_meshes)


def _check_path(key: str, path: str | None) -> Iterator[str]:
    if path not in (None, "latest") and not _exists(str(path)):
        yield f"{key}={path}: no such folder; name a run, a checkpoint, or latest"


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError):  # longer than the system takes; the home of somebody it does not know
        return False


def _check_meshes(key: str, path: str | None) -> Iterator[str]:
    if path is not None and not (_holds_meshes(path, "*.cmf") or _holds_meshes(path, "soccar/*.cmf")):
        yield f"{key}={shown(path)}: holds no .cmf files, nor its subfolder soccar; null takes the package's"


def _holds_meshes(path: str, pattern: str) -> bool:
    try:
        folder = Path(path).expanduser().resolve()
        return (folder.name == "soccar" or "/" in pattern) and any(each.is_file() for each in folder.glob(pattern))
    except (OSError, RuntimeError):
        return False


def _check_training(config: TrainConfig) -> Iterator[str]:
    env = config.env
    if env.action_delay >= env.tick_skip:
        yield f"env.action_delay={env.action_delay}: must be below env.tick_skip={env.tick_skip}"
    yield from _check_shares("env.reset", env.reset)
    yield from _check_meshes("env.collision_meshes", env.collision_meshes)
    yield from _check_path("resume", config.resume)
    if type(config) is not TrainConfig and config.hardware.distributed:
        yield "hardware.distributed=true: only rlbot.train takes several processes; choose another hardware"
    if isinstance(config, BenchConfig) and not config.bench.teams:
        yield "bench.teams=[]: needs at least one team size, such as [1v1]"
    if isinstance(config, LearncheckConfig):
        yield from _check_learncheck(config)
    yield from _check_network(config)
    if config.objective == "rating" and not config.rating.enabled:
        yield "objective=rating: needs rating.enabled=true; or take another, such as objective=touches"
    yield from _check_batch(config)
    yield from _check_stages(config.curriculum.stages)
    yield from _check_terms(config)


def _check_learncheck(config: LearncheckConfig) -> Iterator[str]:
    settings = config.learncheck
    for key in ("seeds", "teams", "of", "compare"):
        values = getattr(settings, key)
        if key in ("seeds", "teams") and not values:
            yield f"learncheck.{key}=[]: needs at least one, such as [{'1v1' if key == 'teams' else 0}]"
        if len(set(values)) < len(values):
            yield f"learncheck.{key}={shown(list(values))}: names one of them twice"
    for i, path in enumerate(settings.of):
        yield from _check_path(f"learncheck.of.{i}", path)
    for i, path in enumerate(settings.compare):
        if not Path(path, "learncheck.csv").expanduser().is_file():
            yield f"learncheck.compare.{i}={path}: holds no learncheck.csv; name the directory of a learncheck"
    if settings.of and settings.compare:
        yield f"learncheck.compare={shown(list(settings.compare))}: only draws; leave out learncheck.of"
    if settings.of or settings.compare:
        return
    if config.resume is not None:
        yield f"resume={config.resume}: a learncheck trains from scratch; learncheck.of=[...] evaluates runs that exist"
    if settings.interval < config.checkpoint_interval:
        least = f"checkpoint_interval={config.checkpoint_interval}"
        yield f"learncheck.interval={settings.interval}: must be at least {least}; set that lower too"


def _check_shares(key: str, shares: Mapping[str, float]) -> Iterator[str]:
    if sum(shares.values()) <= 0:
        yield f"{key}={shown(shares)}: at least one share must be above 0"


def _check_network(config: TrainConfig) -> Iterator[str]:
    hidden, versions = config.model.hidden, config.curriculum.pool_size
    if not hidden:
        yield "model.hidden=[]: needs at least one layer, such as [256,256]"
    weights = sum(a * b for a, b in pairwise(hidden))
    if weights > MAX_WEIGHTS:
        yield f"model.hidden={shown(hidden)}: {weights:_} weights between them; must be at most {MAX_WEIGHTS:_}"
    elif weights * versions > MAX_POOL:
        fits = MAX_POOL // weights
        yield f"curriculum.pool_size={versions}: must be at most {fits} with model.hidden={shown(hidden)}"


def _check_batch(config: TrainConfig) -> Iterator[str]:
    batch, part = config.learner.batch_size, config.learner.minibatch_size
    if part > batch:
        yield f"learner.minibatch_size={part}: must be at most learner.batch_size={batch}"
    elif batch % part:
        parts = range(-(-batch // part), 100_000)  # the first that divides gives the nearest size below
        fit = next((batch // n for n in parts if batch % n == 0), batch)
        fault = f"does not divide learner.batch_size={batch}; use for example {fit}"
        yield f"learner.minibatch_size={part} {fault}"
    if config.learner.overlap and config.env.workers == 0:
        yield "learner.overlap=true: needs worker processes, which env.workers=0 forbids; leave env.workers at null"
    arenas = config.env.num_envs
    if batch < 2 * arenas:
        yield f"learner.batch_size={batch}: must be at least {2 * arenas}, one step of env.num_envs={arenas}"


def _check_stages(stages: tuple[StageConfig, ...]) -> Iterator[str]:
    if not stages:
        yield "curriculum.stages=[]: needs at least one stage"
    previous = 0
    for i, stage in enumerate(stages):
        key = f"curriculum.stages.{i}"
        if stage.name in [other.name for other in stages[:i]]:
            yield f"{key}.name={stage.name}: another stage has this name"
        if stage.until is None and i < len(stages) - 1:
            yield f"{key}.until=null: only the last stage may go on to the end; give it a timestep"
        if stage.until is not None and stage.until <= previous:
            yield f"{key}.until={stage.until}: must be above the {previous} of the stage before"
        previous = stage.until or previous
        yield from _check_shares(f"{key}.teams", stage.teams)
        yield from _check_opponents(f"{key}.opponent", stage.opponent.shares)
        if stage.reset:
            yield from _check_shares(f"{key}.reset", stage.reset)


def _check_opponents(key: str, shares: Mapping[str, float]) -> Iterator[str]:
    yield from _check_shares(key, shares)
    for name in shares:
        if name not in ("self", "past", "random", "idle") and not _exists(name):
            there_are = "self, past, random, idle, or the path of a run or checkpoint"
            yield f"{key}={name}: no such opponent; there are: {there_are}"


def _check_terms(config: TrainConfig) -> Iterator[str]:
    built_in = _built_in_terms()
    known = [*built_in, *(name for name, term in config.reward.terms.items() if term.target)]
    used = [(f"reward.terms.{name}", name) for name in config.reward.terms]
    used += [(f"reward.zero_sum.{i}", name) for i, name in enumerate(config.reward.zero_sum)]
    for i, stage in enumerate(config.curriculum.stages):
        used += [(f"curriculum.stages.{i}.reward.{name}", name) for name in stage.reward]
    for key, name in used:
        if name not in known:
            own = "; a term of your own needs a _target_" if key == f"reward.terms.{name}" else ""
            yield _unknown_name(key if key.endswith(name) else f"{key}={name}", name, built_in) + own
