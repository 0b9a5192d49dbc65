"""The checks a run makes before it trains: each one does the thing for real, on objects of its own."""

from collections.abc import Iterator

import numpy as np
import torch

from rlbot import build
from rlbot.config import TrainConfig
from rlbot.curriculum import Stage
from rlbot.learner import Rollout

STEPS = 16  # of the short rollout


def verify(config: TrainConfig, parts: build.Parts) -> Iterator[str]:
    """One line for each check that held. Raises ValueError for the first that did not."""
    yield "Curriculum stages: " + ", ".join(_stage(stage) for stage in parts.stages)
    for index, stage in enumerate(parts.stages):
        env = build.make_env(config, stage)
        obs, _ = env.reset(seed=config.seed)
        if not np.isfinite(obs).all():
            raise ValueError(f"curriculum.stages.{index}: the environment gives an observation that is not finite")
        yield f"Environment of stage {index} ({stage.name}): {len(env.arenas)} arenas, {env.num_envs} cars"

    cars = np.arange(env.num_envs)
    with torch.inference_mode(), parts.hardware.autocast():
        actions, _ = parts.model.act(
            torch.from_numpy(obs).to(parts.hardware.device),
            generator=torch.Generator(parts.hardware.device).manual_seed(config.seed),
        )
        controls = parts.model.head.controls(actions)
    if controls.shape != (len(cars), 8) or not bool(torch.isfinite(controls).all()):
        raise ValueError(f"model: a forward pass gives controls of shape {tuple(controls.shape)}, not all finite")
    yield f"Model forward pass: observations {tuple(obs.shape)} -> controls {tuple(controls.shape)}"

    collector = build.Collector(env, parts.model, parts.hardware, None, cars, config.seed)
    head = parts.model.head
    rollout = Rollout(STEPS, len(cars), obs.shape[1], head.action_shape, head.action_dtype)
    collector.collect(rollout)
    if not bool(torch.isfinite(rollout.rewards).all()):
        bad = [name for k, name in enumerate(env.reward.names) if not np.isfinite(env.books.after[:, k]).all()]
        raise ValueError(f"reward.terms: a short rollout gave a reward that is not finite: {', '.join(bad)}")
    yield f"Rollout of {STEPS} steps: rewards finite, mean {float(rollout.rewards.mean()):.4f} a step"


def _stage(stage: Stage) -> str:
    teams = "+".join(name for name, share in stage.teams.items() if share > 0)
    return f"{stage.name} ({teams} against {stage.opponent}, until {stage.until or 'the end'})"


def summary(config: TrainConfig, parts: build.Parts) -> Iterator[str]:
    """The configuration, a line for each thing a user looks for."""
    hardware = parts.hardware
    mixed = "off (fp32)" if hardware.precision == "fp32" else f"on ({hardware.precision})"
    learner = config.learner
    yield f"User: {config.user.name}"
    yield f"Device: {hardware.device}"
    yield f"Mixed precision: {mixed}"
    yield f"Number of environments: {config.env.num_envs}"
    yield f"Model parameters: {sum(p.numel() for p in parts.model.parameters())}"
    yield f"Batch size: {learner.batch_size} (minibatches of {learner.minibatch_size}, {learner.epochs} epochs)"
    yield f"Learning rate: {learner.learning_rate:g}" + (" (to 0 at the end)" if learner.anneal_learning_rate else "")
    yield f"Checkpoint interval: {config.checkpoint_interval} timesteps"
