"""The checks a run makes before it trains: each one does the thing for real, on objects of its own."""

from collections.abc import Iterator

import numpy as np
import torch

from rlbot.build import Parts
from rlbot.build_env import make_env
from rlbot.collect import Cast
from rlbot.collect.section import Section
from rlbot.curriculum import Stage
from rlbot.fault import Faults
from rlbot.rollout import Rollout
from rlbot.schema import TrainConfig

STEPS = 16  # of the short rollout


def verify(config: TrainConfig, parts: Parts) -> Iterator[str]:
    """One line for each check that held. Raises ValueError for the first that did not."""
    yield "Curriculum stages: " + ", ".join(_stage(stage) for stage in parts.stages)
    for index, stage in enumerate(parts.stages):
        env = make_env(config, stage)
        obs, _ = env.reset(seed=config.seed)
        if not np.isfinite(obs).all():
            raise ValueError(f"curriculum.stages.{index}: the environment gives an observation that is not finite")
        env.step(np.zeros((env.num_envs, 8), np.float32))  # a term of the user's own may fail in one stage only
        _demand_finite(env.faults, f"the first step of curriculum.stages.{index}")
        yield f"Environment of stage {index} ({stage.name}): {len(env.arenas)} arenas, {env.num_envs} cars"

    with torch.inference_mode(), parts.hardware.autocast():
        controls = parts.model.head.controls(
            parts.model.act(torch.from_numpy(obs).to(parts.hardware.device), deterministic=True)[0]
        )
    if controls.shape != (len(obs), 8) or not bool(torch.isfinite(controls).all()):
        raise ValueError(f"model: a forward pass gives controls of shape {tuple(controls.shape)}, not all finite")
    yield f"Model forward pass: observations {tuple(obs.shape)} -> controls {tuple(controls.shape)}"

    network, stage = parts.network, parts.stages[-1]
    everybody = Cast(network, {"self": 1.0}, "uniform", (True,) * config.env.num_envs, config.seed)
    section = Section(lambda: make_env(config, stage), everybody, parts.publish(), parts.pool)
    cars = len(section.learner_cars)
    rollout = Rollout(STEPS, cars, network.observation_size, network.action_shape, network.action_dtype)
    tally = section.collect(rollout)
    _demand_finite(tally.faults, f"a rollout of {STEPS} steps")
    yield f"Rollout of {STEPS} steps: rewards finite, mean {float(rollout.rewards.mean()):.4f} a step"


def _demand_finite(faults: Faults, where: str) -> None:
    if faults:
        raise ValueError(f"{', '.join(faults)}: NaN or infinity in {where}")


def _stage(stage: Stage) -> str:
    teams = "+".join(name for name, share in stage.teams.items() if share > 0)
    against = "+".join(name for name, share in stage.opponents.items() if share > 0)
    return f"{stage.name} ({teams} against {against}, until {stage.until or 'the end'})"


def summary(config: TrainConfig, parts: Parts) -> Iterator[str]:
    """The configuration, a line for each thing a user looks for."""
    hardware = parts.hardware
    mixed = "off (fp32)" if hardware.precision == "fp32" else f"on ({hardware.precision})"
    learner = config.learner
    yield f"User: {config.user.name}"
    yield f"Device: {hardware.device}"
    yield f"Mixed precision: {mixed}"
    yield f"Number of environments: {config.env.num_envs} {_workers(config, parts)}"
    yield f"Model parameters: {sum(p.numel() for p in parts.model.parameters())}"
    yield f"Batch size: {learner.batch_size} (minibatches of {learner.minibatch_size}, {learner.epochs} epochs)"
    yield f"Learning rate: {learner.learning_rate:g}" + (" (to 0 at the end)" if learner.anneal_learning_rate else "")
    yield f"Checkpoint interval: {config.checkpoint_interval} timesteps"
    if config.hardware.time_limit is not None:
        yield f"Time limit: {config.hardware.time_limit:g} minutes, then the run saves and ends"


def _workers(config: TrainConfig, parts: Parts) -> str:
    ranks = parts.hardware.group.size
    count = min(parts.workers, -(-config.env.num_envs // ranks))
    if ranks > 1:
        return f"in {ranks} processes" + (f" with {count} worker processes each" if count else "")
    return f"in {count} worker processes" if count else "in this process"
