"""`python -m rlbot.train`: train a bot, or go on with a run."""

from pathlib import Path

from rlbot.processes.torchrun import World
from rlbot.settings import command
from rlbot.settings.errors import building
from rlbot.settings.schema import TrainConfig


def main(config: TrainConfig, directory: Path) -> float | None:
    """Returns what `config.objective` names, for a sweep to maximise; None if it could not be measured. Raises
    KeyboardInterrupt if the run was asked to stop in a sweep: that means the sweep, not only this job."""
    with building():
        world = World.of_run(config.hardware.distributed)
    # Heavy imports wait until the settings are known to be sound: a slip on the command line is answered at once.
    from rlbot.training.run import train

    outcome = train(config, directory, world)
    if outcome.interrupted and command.in_multirun():
        raise KeyboardInterrupt
    return outcome.value


def follow(config: TrainConfig) -> None:
    """What every process of a distributed run but the first does."""
    with building():
        world = World.of_run(config.hardware.distributed)
    from rlbot.training import run

    run.follow(config, world)


if __name__ == "__main__":
    command.run(main, "train", follow)
