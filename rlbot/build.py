"""The only place that turns settings into objects."""

import dataclasses
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlbot.collect import Collector
from rlbot.config import RewardConfig, RewardTerm, TrainConfig
from rlbot.curriculum import Opponents, Pool, Stage, team_sizes
from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.env.observation import OBSERVATION, OBSERVATION_SIZE
from rlbot.hardware import Hardware
from rlbot.learner import PPO, Rollout
from rlbot.model import ActorCritic, make_head
from rlbot.reward import Reward, Term
from rlbot.reward.compose import with_weights
from rlbot.sim import load_meshes

POOL_SIZE = 8  # past versions kept as opponents; each costs the memory of one actor


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a training run is made of."""

    hardware: Hardware
    model: ActorCritic
    ppo: PPO
    pool: Pool
    stages: tuple[Stage, ...]
    make_collector: Callable[[int], Collector]  # of the stage with this index
    make_rollout: Callable[[int], Rollout]  # for this many agents


def build(config: TrainConfig) -> Parts:
    """Everything a run needs. Raises ValueError, naming the setting, for what this machine or a file cannot give."""
    hardware = make_hardware(config)
    load_meshes(config.env.collision_meshes)
    hardware.seed(config.seed)
    model = make_model(config).to(hardware.device)
    pool = Pool(POOL_SIZE)
    stages = tuple(
        Stage(s.name, s.until, s.teams, s.opponent, s.reward, s.reset) for s in config.curriculum.stages
    )
    for stage in stages:
        make_reward(config.reward, stage.reward)  # a broken term of the user's own is found before training starts
    player = Ghost(make_model(config).to(hardware.device), hardware, config.seed)
    return Parts(
        hardware,
        model,
        make_ppo(config, model, hardware),
        pool,
        stages,
        lambda index: make_collector(config, stages[index], index, model, hardware, pool, player),
        lambda num_agents: Rollout(
            -(-config.learner.batch_size // num_agents),
            num_agents,
            OBSERVATION_SIZE,
            model.head.action_shape,
            model.head.action_dtype,
            pin_memory=hardware.device.type == "cuda",
        ),
    )


def make_hardware(config: TrainConfig) -> Hardware:
    return Hardware.choose(**dataclasses.asdict(config.hardware))


def make_model(config: TrainConfig) -> ActorCritic:
    settings = dataclasses.asdict(config.model)
    head = make_head(settings.pop("action_head"), ACTION_TABLE)
    return ActorCritic(OBSERVATION_SIZE, head, **settings)


def make_ppo(config: TrainConfig, model: ActorCritic, hardware: Hardware) -> PPO:
    settings = dataclasses.asdict(config.learner)
    for name in ("batch_size", "anneal_learning_rate"):  # the loop's
        del settings[name]
    return PPO(model, hardware=hardware, seed=config.seed, **settings)


def make_rules(config: TrainConfig) -> Rules:
    env = config.env
    return Rules(env.tick_skip, env.action_delay, env.time_limit, env.no_touch_limit)


def make_reward(config: RewardConfig, changes: Mapping[str, float] | None = None) -> Reward:
    """`changes`: weights of a stage. Raises ValueError where a term of the user's own cannot be loaded."""
    terms = [Term(name, term.weight, _function(name, term)) for name, term in config.terms.items()]
    return Reward(with_weights(terms, changes or {}), config.zero_sum, config.team_spirit, config.clip)


def make_env(config: TrainConfig, stage: Stage) -> BatchEnv:
    """The batch of arenas of one stage."""
    return BatchEnv(
        team_sizes(stage, config.env.num_envs),
        make_reward(config.reward, stage.reward),
        stage.reset_mix or config.env.reset,
        make_rules(config),
    )


def make_collector(
    config: TrainConfig,
    stage: Stage,
    index: int,
    model: ActorCritic,
    hardware: Hardware,
    pool: Pool,
    player: "Ghost",
) -> Collector:
    """The learner plays every car in self-play, else blue's, whose part changes from arena to arena."""
    env, seed = make_env(config, stage), config.seed + 1000 * index
    cars = np.arange(env.num_envs)
    if stage.opponent == "self":
        return Collector(env, model, hardware, None, cars, seed)
    blue = env.car_slot < 2
    opponents = Opponents(
        stage.opponent, env.car_arena[~blue], len(env.arenas), ACTION_TABLE, pool, player, seed
    )
    return Collector(env, model, hardware, opponents, cars[blue], seed)


class Ghost:
    """Acts with weights that are not the learner's: one spare network that is lent the tensors of any version."""

    def __init__(self, model: ActorCritic, hardware: Hardware, seed: int) -> None:
        self._model, self._hardware = model, hardware
        self._parameters = {name: p for name, p in model.named_parameters() if is_actor(name)}
        self.generator = torch.Generator(hardware.device).manual_seed(seed + 500)

    @torch.inference_mode()
    def __call__(self, weights: Mapping[str, torch.Tensor], observations: torch.Tensor) -> torch.Tensor:
        for name, parameter in self._parameters.items():
            parameter.data = weights[name]
        with self._hardware.autocast():
            actions, _ = self._model.act(observations.to(self._hardware.device), generator=self.generator)
        return self._model.head.controls(actions).cpu()


def is_actor(name: str) -> bool:
    """Whether a parameter of the model is needed to act; the critic's are not."""
    return not name.startswith("critic")


def policy_document(config: TrainConfig) -> dict[str, Any]:
    """What a checkpoint says about how its policy is to be played: it is useless with any other layout."""
    return {
        "observation": [list(each) for each in OBSERVATION],
        "action_table": ACTION_TABLE.tolist(),
        "model": dataclasses.asdict(config.model),
        "tick_skip": config.env.tick_skip,
        "action_delay": config.env.action_delay,
    }


def _function(name: str, term: RewardTerm) -> Callable[[Any, Any], Any] | None:
    """The function of a term of the user's own: "package.module.function" or "path/to/file.py:function"."""
    if term.target is None:
        return None
    where = f"reward.terms.{name}._target_={term.target}"
    file, _, attribute = term.target.rpartition(":")
    module_name = "" if file else term.target.rpartition(".")[0]
    attribute = attribute if file else term.target.rpartition(".")[2]
    try:
        module = _load_file(Path(file)) if file else importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # anything may happen in a user's file
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
    sys.modules[name] = module  # as import does: dataclasses and pickle look there
    spec.loader.exec_module(module)
    return module
