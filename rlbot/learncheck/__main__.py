"""`python -m rlbot.learncheck`: how a recipe learns, over several seeds.

learncheck.of=[RUN,...] evaluates runs that exist, learncheck.compare=[DIRECTORY,...] puts earlier results together.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rlbot.processes.cores import available_cores
from rlbot.settings import command
from rlbot.settings.errors import CommandFailed, building
from rlbot.settings.schema import LearncheckConfig

if TYPE_CHECKING:
    from rlbot.learncheck.curves import Row
    from rlbot.learncheck.versions import Version
    from rlbot.run import Console

CSV = "learncheck.csv"


def main(config: LearncheckConfig, directory: Path) -> float:
    """Write a CSV, and a PNG for each team size; returns the final median goal difference of a match against random."""
    # Heavy imports come after the checks of the settings, so that a wrong setting is reported at once.
    from rlbot import run
    from rlbot.learncheck.curves import medians, read, table, write
    from rlbot.learncheck.picture import draw
    from rlbot.learncheck.versions import find
    from rlbot.sim import obtain_meshes

    settings = config.learncheck
    with building():
        obtain_meshes(config.env.collision_meshes)
        rows = read([Path(folder).expanduser() / CSV for folder in settings.compare])
        versions = [
            version
            for i, name in enumerate(settings.of)
            for version in find(name, name, settings.interval, f"learncheck.of.{i}")
        ]
    with run.Console(directory / "learncheck.log") as console:
        if not rows:
            versions = versions or _trained(config, directory, console)
            rows = _evaluated(config, versions, directory / CSV, console)
        write(rows, directory / CSV)
        pictures = draw(rows, directory)
        for line in table(rows):
            console.line(line)
        console.ok(f"Written: {', '.join(str(path) for path in (directory / CSV, *pictures))}")
    first = [row for row in rows if (row.recipe, row.teams, row.opponent) == (rows[0].recipe, rows[0].teams, "random")]
    return medians(first)[-1].goal_difference


def _trained(config: LearncheckConfig, directory: Path, console: "Console") -> "list[Version]":
    """Train every seed; returns the versions to evaluate."""
    from rlbot.learncheck.trainings import share, train
    from rlbot.learncheck.versions import find

    seeds = config.learncheck.seeds
    parallel = min(config.learncheck.parallel or available_cores(), len(seeds))
    cores = max(available_cores() // parallel, 1)
    console.start(
        f"Training of seeds {', '.join(map(str, seeds))} to {config.total_timesteps} timesteps, "
        f"{parallel} at the same time, cores for each: {cores}"
    )
    train(seeds, [*command.arguments("learncheck"), *share(config, cores)], directory, parallel, console)
    try:
        return [
            version
            for seed in seeds
            for version in find(f"seed_{seed}", str(directory / f"seed_{seed}"), config.learncheck.interval)
        ]
    except ValueError as error:  # for example, the disk was full when checkpoints were written
        raise CommandFailed(str(error)) from error


def _evaluated(config: LearncheckConfig, versions: "list[Version]", csv: Path, console: "Console") -> "list[Row]":
    """Evaluate all versions; returns their rows. The rows of a version are written to the file when it has played."""
    from rlbot.learncheck.curves import describe, write
    from rlbot.learncheck.versions import evaluate

    settings = config.learncheck
    workers = available_cores() if config.env.workers is None else config.env.workers
    recipe = settings.name or (None if settings.of else command.recipe()) or "default"
    rows: list[Row] = []
    for number, version in enumerate(versions, 1):
        console.start(f"Evaluation {number}/{len(versions)}: {version.path}")
        found = evaluate(version, recipe, settings, config.env.collision_meshes, workers)
        rows += found
        write(rows, csv)
        for row in found:
            console.ok(describe(row))
    return rows


if __name__ == "__main__":
    command.run(main, "learncheck")
