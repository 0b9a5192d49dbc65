"""`python -m rlbot.train`: trains a bot, or resumes a run."""

from pathlib import Path

from rlbot.processes.torchrun import World
from rlbot.settings import command
from rlbot.settings.errors import building
from rlbot.settings.schema import TrainConfig


def main(config: TrainConfig, directory: Path) -> float | None:
    """Returns the measure that `config.objective` names, which a sweep maximises; None if it was not measured. Raises
    KeyboardInterrupt if a signal stopped the run within a sweep, so that the whole sweep stops, not only this job."""
    with building():
        world = World.of_run(config.hardware.distributed)
    # Imported here because it is slow: errors in the settings are reported before.
    from rlbot.training.run import train

    outcome = train(config, directory, world)
    if outcome.interrupted and command.in_multirun():
        raise KeyboardInterrupt
    return outcome.value


def follow(config: TrainConfig) -> None:
    """Runs a rank other than 0 of a distributed run."""
    with building():
        world = World.of_run(config.hardware.distributed)
    from rlbot.training import run

    run.follow(config, world)


if __name__ == "__main__":
    command.run(main, "train", follow)
