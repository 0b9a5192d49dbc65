"""Builds rules, rewards and arenas from the settings. Workers import this module, so it must not import PyTorch."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlbot.curriculum import Stage, team_sizes
from rlbot.env import BatchEnv, Rules
from rlbot.reward import Reward, Term
from rlbot.reward.compose import with_weights
from rlbot.settings.schema import RewardConfig, RewardTerm, TrainConfig
from rlbot.sim import MAX_CARS, load_meshes


def make_rules(config: TrainConfig) -> Rules:
    env = config.env
    return Rules(env.tick_skip, env.action_delay, env.time_limit, env.no_touch_limit)


def make_reward(config: RewardConfig, changes: Mapping[str, float] | None = None) -> Reward:
    """`changes`: the reward weights of a stage. Raises ValueError if a user's own term cannot be loaded."""
    terms = [Term(name, term.weight, _function(name, term), term.target) for name, term in config.terms.items()]
    return Reward(with_weights(terms, changes or {}), config.zero_sum, config.team_spirit, config.clip)


def make_env(config: TrainConfig, stage: Stage, start: int = 0, stop: int | None = None) -> BatchEnv:
    """Returns the arenas [start, stop) of the batch of one stage; by default all of them. Raises ValueError if
    the engine or its collision meshes are not there."""
    load_meshes(config.env.collision_meshes, config.env.engine)
    return BatchEnv(
        team_sizes(stage, config.env.num_envs)[start:stop],
        make_reward(config.reward, stage.reward),
        stage.reset_mix or config.env.reset,
        make_rules(config),
        first_arena=start,
        engine=config.env.engine,
    )


def make_sample(config: TrainConfig, stage: Stage) -> BatchEnv:
    """Returns one arena of each team size of a stage: enough to check that everything in it works."""
    load_meshes(config.env.collision_meshes, config.env.engine)
    sizes = list(dict.fromkeys(team_sizes(stage, config.env.num_envs)))
    if len(sizes) == MAX_CARS:  # otherwise the wrong shape (cars, arenas) would look right
        sizes.append(sizes[0])
    return BatchEnv(
        sizes,
        make_reward(config.reward, stage.reward),
        stage.reset_mix or config.env.reset,
        make_rules(config),
        engine=config.env.engine,
    )


def _function(name: str, term: RewardTerm) -> Callable[[Any, Any], Any] | None:
    """Loads the function of a user's own term: "package.module.function" or "path/to/file.py:function"."""
    if term.target is None:
        return None
    where = f"reward.terms.{name}._target_={term.target}"
    file, _, attribute = term.target.rpartition(":")
    module_name = "" if file else term.target.rpartition(".")[0]
    attribute = attribute if file else term.target.rpartition(".")[2]
    try:
        module = _load_file(Path(file)) if file else importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's file may raise anything
        reason = " ".join(str(error).split()) or "no reason given"
        raise ValueError(f"{where}: cannot be imported: {type(error).__name__}: {reason}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"{where}: there is no function {attribute} in {module.__name__}")
    return functools.partial(function, **term.arguments) if term.arguments else function


def _load_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    name = f"_rlbot_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import does: dataclasses and pickle look it up there
    if str(path.parent) not in sys.path:  # as for a script: the file may import files beside it, at any time
        sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module
