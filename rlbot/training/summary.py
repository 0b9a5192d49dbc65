"""The configuration of a run, a line for each thing a user looks for."""

from collections.abc import Iterator

from rlbot.settings.schema import TrainConfig
from rlbot.training.build import Components


def summary(config: TrainConfig, components: Components) -> Iterator[str]:
    """The configuration, a line for each thing a user looks for."""
    hardware = components.hardware
    mixed = "off (fp32)" if hardware.precision == "fp32" else f"on ({hardware.precision})"
    learner = config.learner
    yield f"User: {config.user.name}"
    yield f"Device: {hardware.device}"
    yield f"Mixed precision: {mixed}"
    yield f"Number of environments: {config.env.num_envs} {_workers(config, components)}"
    yield f"Model parameters: {sum(p.numel() for p in components.model.parameters())}"
    parts = max(1, round(learner.batch_size / learner.minibatch_size))
    size = f"about {learner.batch_size // parts}" if learner.batch_size % parts else f"{learner.batch_size // parts}"
    yield f"Batch size: {learner.batch_size} ({parts} minibatches of {size}, {learner.epochs} epochs)"
    yield f"Learning rate: {learner.learning_rate:g}" + (" (to 0 at the end)" if learner.anneal_learning_rate else "")
    yield f"Checkpoint interval: {config.checkpoint_interval} timesteps"
    if config.hardware.time_limit is not None:
        yield f"Time limit: {config.hardware.time_limit:g} minutes, then the run saves and ends"


def _workers(config: TrainConfig, components: Components) -> str:
    ranks = components.hardware.group.size
    count = min(components.workers, -(-config.env.num_envs // ranks))
    if ranks > 1:
        return f"in {ranks} processes" + (f" with {count} worker processes each" if count else "")
    return f"in {count} worker processes" if count else "in this process"
