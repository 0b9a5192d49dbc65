"""The checks before training: each one really steps an environment or runs the model, on objects of its own. They use
only a few arenas, because making one takes 20 ms or more, and the workers make their own arenas anyway."""

from collections.abc import Iterator

import numpy as np
import torch

from rlbot.bots import StateBot, asked
from rlbot.collect import Matchup
from rlbot.collect.env_shard import EnvShard
from rlbot.collect.rollout import Rollout
from rlbot.curriculum import Stage
from rlbot.env import BatchEnv
from rlbot.env.nonfinite import NonFiniteCounts
from rlbot.env.purity import check_purity, check_resets
from rlbot.model.own import OwnActorCritic
from rlbot.settings.schema import TrainConfig
from rlbot.sim import ORANGE
from rlbot.training.build import Components
from rlbot.training.build_env import make_env, make_sample

STEPS = 16  # of the short rollout


def preflight(config: TrainConfig, components: Components) -> Iterator[str]:
    """Yields one line for each check that passed. Raises ValueError at the first that failed."""
    yield "Curriculum stages: " + ", ".join(_stage(stage) for stage in components.stages)
    played = {name for stage in components.stages for name, share in stage.teams.items() if share > 0}
    yield f"Curriculum restricted to {', '.join(sorted(played))}"
    for stage in components.stages:
        env = make_sample(config, stage)
        check_resets(env)
        obs, _ = env.reset(seed=config.seed)
        if not np.isfinite(obs).all():
            raise ValueError(f"curriculum.stages.{stage.name}: the environment gives an observation that is not finite")
        env.step(np.zeros((env.num_envs, 8), np.float32))  # a user's own term may fail in one stage only
        _require_finite(env.faults, f"the first step of curriculum.stages.{stage.name}")
        check_purity(env)
        sizes = ", ".join(f"{blue}v{orange}" for blue, orange in dict.fromkeys(env.team_sizes))
        yield f"Environment of stage {stage.name}: one arena of each size, {sizes}, {env.num_envs} cars"

        yield from _check_opponents(stage, env, components)

    yield f"Multi-environment check: {_step_together(config, components.stages[-1])}"

    network = components.network
    inputs = components.hardware.tensor(network.inputs(obs, np.zeros((len(obs), network.state_size), np.float32)))
    with torch.inference_mode(), components.hardware.autocast():
        logits = components.model.actor_logits(inputs)
        controls = components.model.head.controls(components.model.head.mode(logits))
    if controls.shape != (len(obs), 8) or not bool(torch.isfinite(controls).all()):
        raise ValueError(f"model: a forward pass gives controls of shape {tuple(controls.shape)}, not all finite")
    if isinstance(components.model, OwnActorCritic):
        with components.hardware.autocast():
            unused = components.model.unused(inputs)
        if unused:
            raise ValueError(f"model.network: {unused[0]} has no part in logits or values; take it out of the class")
        if network.state_size and (error := components.model.unroll_error(components.hardware.tensor(obs))) > 0.01:
            raise ValueError(f"model.network: unroll and forward, step by step, differ by {error:.1%}; they must agree")
    yield f"Model forward pass: observations {tuple(obs.shape)} -> controls {tuple(controls.shape)}"

    all_learn = Matchup(network, {"self": 1.0}, "uniform", (True,) * len(env.arenas), config.seed)
    shard = EnvShard(lambda: env, all_learn, components.publish(), components.pool)
    cars = len(shard.learner_cars)
    rollout = Rollout(STEPS, cars, network.input_size, network.action_shape, network.action_dtype, network.mask_size)
    stats = shard.collect(rollout)
    _require_finite(stats.faults, f"a rollout of {STEPS} steps")
    yield f"Rollout of {STEPS} steps: rewards finite, mean {float(rollout.rewards.mean()):.4f} per step"
    if env.rlgym is not None:
        each = env.rlgym.seconds / env.rlgym.steps / env.num_envs
        yield f"RLGym parts: {1e6 * each:.0f} us a step and car; no process makes more than {1 / each:,.0f} timesteps/s"


def _check_opponents(stage: Stage, env: BatchEnv, components: Components) -> Iterator[str]:
    """Asks the opponents that act from the state for the controls of all orange cars."""
    orange = np.flatnonzero(env.car_team == ORANGE)
    opponents = [components.bots.get(name) for name, share in stage.opponents.items() if share > 0]
    for bot in (*opponents, *(each.player for each in components.anchors)):
        if isinstance(bot, StateBot):
            controls = bot.act(env.state, asked(env, orange, orange, 0, 0))
            yield f"Opponent {bot.name}: state of {len(orange)} cars -> controls {controls.shape}"


def _step_together(config: TrainConfig, stage: Stage) -> str:
    """Steps two arenas of a stage in one batch; the rows are the cars of both."""
    count = min(2, config.env.num_envs)
    env = make_env(config, stage, 0, count)
    env.reset(seed=config.seed)
    obs, rewards, *_ = env.step(np.zeros((env.num_envs, 8), np.float32))
    if len(obs) != env.num_envs or len(rewards) != env.num_envs or not np.isfinite(obs).all():
        raise ValueError(f"env: a step of {count} arenas gives observations {obs.shape} and rewards {rewards.shape}")
    return f"{count} environments stepped together, observations {obs.shape}, rewards {rewards.shape}"


def _require_finite(faults: NonFiniteCounts, where: str) -> None:
    if faults:
        raise ValueError(f"{', '.join(faults)}: NaN or infinity in {where}")


def _stage(stage: Stage) -> str:
    teams = "+".join(name for name, share in stage.teams.items() if share > 0)
    against = "+".join(name for name, share in stage.opponents.items() if share > 0)
    return f"{stage.name} ({teams} against {against}, until {stage.end})"
