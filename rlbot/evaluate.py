"""`python -m rlbot.evaluate`: plays matches from kickoff and counts goals, to measure how good a bot is."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rlbot.processes.cores import available_cores
from rlbot.settings import command
from rlbot.settings.document import document
from rlbot.settings.errors import building, playing
from rlbot.settings.schema import EvaluateConfig

if TYPE_CHECKING:
    from rlbot.rating.evaluation import Machine
    from rlbot.rating.matches import Conditions, Player


def main(config: EvaluateConfig, directory: Path) -> float:
    """Returns the score of the checkpoint (a draw is half a win); in a tournament, the rating of the newest version."""
    from rlbot.sim import obtain_meshes  # imported here because it is slow: errors in the settings are reported before

    with building():
        obtain_meshes(config.collision_meshes)
    return _tournament(config, directory) if config.tournament else _matches(config, directory)


def _matches(config: EvaluateConfig, directory: Path) -> float:
    # Imported here because they are slow: errors in the settings are reported before.
    from rlbot.rating.evaluation import compare
    from rlbot.rating.matches import load_player
    from rlbot.run import Console
    from rlbot.run.files import to_json, write_atomic

    with building():
        first = load_player(config.checkpoint.name, config.checkpoint.target, "checkpoint")
        second = load_player(config.opponent.name, config.opponent.target, "opponent")
        conditions = _conditions(config, [("checkpoint", first), ("opponent", second)])
    with Console(directory / "evaluate.log") as console:
        with playing():
            result = compare(
                first, second, config.matches, conditions, _machine(config), directory, console, config.record
            )
        write_atomic(directory / "evaluation.json", to_json({**result, "settings": document(config)}))
        console.ok(f"Written: {directory / 'evaluation.json'}, {directory / 'heatmap.png'}")
    return float(result["score"])


def _tournament(config: EvaluateConfig, directory: Path) -> float:
    from rlbot.policy import load
    from rlbot.rating import evaluation, tournament
    from rlbot.rating.matches import load_bot
    from rlbot.run import Console, resolve_resume, valid_checkpoints
    from rlbot.run.files import to_json, write_atomic

    with building():
        newest = resolve_resume(config.checkpoint.name, Path("outputs"), "checkpoint").checkpoint
        paths, warnings = valid_checkpoints(newest.parent)
        versions = sorted((load(path) for path in paths), key=lambda bot: bot.timesteps)
        others = [load_bot(each.name, each.target, f"others.{i}") for i, each in enumerate(config.others)]
        players = tournament.named(versions, others)
        conditions = _conditions(config, list(players.items()))
        pairings = tournament.schedule(len(versions), len(players), config.matches, config.max_matches, config.seed)
        pairings = [replace(pairing, record=min(config.record, pairing.matches)) for pairing in pairings]
    with Console(directory / "evaluate.log") as console:
        for warning in warnings:
            console.warn(warning)
        with playing():
            result = evaluation.rate(versions, others, pairings, conditions, _machine(config), directory, console)
        write_atomic(directory / "tournament.json", to_json({**result, "settings": document(config)}))
        console.ok(f"Written: {directory / 'tournament.json'}, {directory / 'ratings.png'}")
    newest_name = list(players)[len(versions) - 1]
    return float(next(row["rating"] for row in result["ratings"] if row["name"] == newest_name))


def _conditions(config: EvaluateConfig, players: "list[tuple[str, Player]]") -> "Conditions":
    from rlbot.rating.matches import Conditions, check_teams, common_engine, common_timing

    opponents = config.team_size if config.opponent_team_size is None else config.opponent_team_size
    check_teams(players, max(config.team_size, opponents))
    pace = common_timing(players)
    return Conditions(
        config.team_size,
        opponents,
        config.match_seconds,
        *pace,
        deterministic=config.deterministic,
        seed=config.seed,
        engine=common_engine(players, config.engine),
    )


def _machine(config: EvaluateConfig) -> "Machine":
    from rlbot.rating.evaluation import Machine

    return Machine(config.collision_meshes, available_cores() if config.workers is None else config.workers)


if __name__ == "__main__":
    command.run(main, "evaluate")
