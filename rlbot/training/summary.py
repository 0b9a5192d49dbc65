"""The lines that show a run's configuration before it trains."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from rlbot.settings.schema import TrainConfig
from rlbot.training.build import Components, learner_acts, make_schedule
from rlbot.training.loop import Schedule
from rlbot.values.ramp import Ramp, shown_ramp


def summary(config: TrainConfig, components: Components) -> Iterator[str]:
    """Yields one line for each setting that a user looks for."""
    hardware = components.hardware
    mixed = f"off ({hardware.precision})" if hardware.dtype == torch.float32 else f"on ({hardware.precision})"
    learner = config.learner
    yield f"User: {config.user.name}"
    yield f"Device: {hardware.device}"
    yield f"Mixed precision: {mixed}"
    yield f"Number of environments: {config.env.num_envs}"
    yield f"Vectorized: {_workers(config, components)}"
    if learner_acts(config, components.network, hardware.device.type):
        yield f"Acting: in this process, on {hardware.device}, for all of them"
    yield f"Model parameters: {sum(p.numel() for p in components.model.parameters())}"
    parts = max(1, round(learner.batch_size / learner.minibatch_size))
    size = f"about {learner.batch_size // parts}" if learner.batch_size % parts else f"{learner.batch_size // parts}"
    yield f"Batch size: {learner.batch_size} ({parts} minibatches of {size}, {learner.epochs} epochs)"
    yield f"Learning rate: {shown_ramp(learner.learning_rate)}{_falling(config)}"
    yield f"Checkpoint interval: {config.checkpoint_interval} timesteps"
    if config.hardware.time_limit is not None:
        yield f"Time limit: {config.hardware.time_limit:g} minutes, then the run saves and ends"


def _falling(config: TrainConfig) -> str:
    learner = config.learner
    if isinstance(learner.learning_rate, Ramp) or not learner.anneal_learning_rate:
        return ""
    since = f" from {learner.anneal_from} timesteps on" if learner.anneal_from else ""
    return f" (falling{since} to {learner.learning_rate * learner.anneal_to:g} at {config.total_timesteps})"


def rate_of_a_resumed_run(config: TrainConfig, timesteps: int, saved: Mapping[str, Any]) -> Iterator[str]:
    """Yields the learning rate of a resumed run at `timesteps`, with a warning if the settings that it was `saved` with
    (the documents of its checkpoint) give another one."""
    now = make_schedule(config).learning_rate_at(timesteps)
    try:
        before = saved["config"]
        learner = before["learner"]
        was = Schedule(
            before["total_timesteps"],
            before["checkpoint_interval"],
            Ramp.of(learner["learning_rate"]),
            learner["anneal_learning_rate"],
            anneal_from=learner.get("anneal_from", 0),
            anneal_to=learner.get("anneal_to", 0.0),
        ).learning_rate_at(timesteps)
    except (KeyError, TypeError, AttributeError):  # another version saved it
        was = now
    if math.isclose(now, was, rel_tol=1e-6, abs_tol=1e-12):
        yield f"[OK] Learning rate now: {now:g}"
        return
    changed = f"[WARN] Learning rate now: {now:g}; with the settings before it was {was:g}."
    if isinstance(config.learner.learning_rate, Ramp):
        yield changed
        return
    rate = was if was > 0.0 else 0.1 * config.learner.learning_rate
    yield f"{changed} For a schedule that begins here: learner.anneal_from={timesteps} learner.learning_rate={rate:.2g}"


def _workers(config: TrainConfig, components: Components) -> str:
    ranks = components.hardware.group.size
    count = min(components.workers, -(-config.env.num_envs // ranks))
    if ranks > 1:
        return f"in {ranks} processes" + (f" with {count} worker processes each" if count else "")
    return f"in {count} worker processes" if count else "in this process, one batch"
