"""`python -m rlbot.evaluate`: how good a bot is, in matches from kickoff that count goals."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbot.settings import command
from rlbot.settings.document import document
from rlbot.settings.errors import building
from rlbot.settings.schema import EvaluateConfig

if TYPE_CHECKING:
    from rlbot.rating.matches import Conditions, Player
    from rlbot.run import Console


def main(config: EvaluateConfig, directory: Path) -> float:
    """Returns the score of the checkpoint (a draw is half a win); in a tournament, the rating of the newest version."""
    # Heavy imports wait until the settings are known to be sound: a slip on the command line is answered at once.
    from rlbot.run import Console

    play = _tournament if config.tournament else _matches
    return play(config, directory, lambda: Console(directory / "evaluate.log"))


def _matches(config: EvaluateConfig, directory: Path, open_console: "Callable[[], Console]") -> float:
    from rlbot.rating.matches import Pairing, play
    from rlbot.rating.statistics import summarise, table

    with _asking():
        names = ("checkpoint", "opponent")
        players = [
            _player(value, name) for name, value in zip(names, (config.checkpoint, config.opponent), strict=True)
        ]
        conditions = _conditions(config, list(zip(names, players, strict=True)))
    with open_console() as console:
        named = _name(players[0]), _name(players[1])
        console.start(f"{config.matches} matches of {config.match_seconds:g} s: {named[0]} against {named[1]}")
        (results,) = play(
            players, [Pairing(0, 1, config.matches)], conditions, config.collision_meshes, _workers(config),
            _progress(console, config.matches),
        )  # fmt: skip
        summary = summarise(results)
        sides = ("blue" if blue else "orange" for blue in results.first_is_blue)
        single = [
            {"side": side, "goals_for": int(mine), "goals_against": int(theirs)}
            for side, (mine, theirs) in zip(sides, results.goals, strict=True)
        ]
        players_document = dict(zip(names, map(_describe, players), strict=True))
        _write(
            directory / "evaluation.json",
            {**summary, "players": players_document, "settings": document(config), "single_matches": single},
        )
        for line in table(summary, *named):
            console.line(line)
        if summary["distinct_matches"] < config.matches:
            console.warn(
                f"Only {summary['distinct_matches']} of {config.matches} matches differ: the intervals are too narrow; "
                "deterministic=false draws actions, and no two matches are the same"
            )
        console.ok(f"Written: {directory / 'evaluation.json'}")
    return float(summary["score"])


def _tournament(config: EvaluateConfig, directory: Path, open_console: "Callable[[], Console]") -> float:
    from rlbot.policy import load
    from rlbot.rating import tournament
    from rlbot.rating.matches import play
    from rlbot.run import resolve_resume, valid_checkpoints

    with _asking():
        newest = resolve_resume(config.checkpoint, Path("outputs"), "checkpoint").checkpoint
        paths, warnings = valid_checkpoints(newest.parent)
        versions = sorted((load(path) for path in paths), key=lambda bot: bot.timesteps)
        others = [load(path, f"others.{i}") for i, path in enumerate(config.others)]
        players = tournament.named(versions, others)
        conditions = _conditions(config, list(players.items()))
        pairings = tournament.schedule(len(versions), len(players), config.matches, config.max_matches, config.seed)
    matches = sum(pairing.matches for pairing in pairings)
    with open_console() as console:
        for warning in warnings:
            console.warn(warning)
        console.start(
            f"Tournament of {len(versions)} versions, {len(others)} others and 2 anchors: {len(pairings)} pairings, "
            f"{matches} matches of {config.match_seconds:g} s"
        )
        results = play(
            list(players.values()), pairings, conditions, config.collision_meshes, _workers(config),
            _progress(console, matches),
        )  # fmt: skip
        games = tournament.games(list(players), pairings, results)
        rows, pairs = tournament.standing(players, games)
        described = {name: _describe(player) for name, player in players.items()}
        _write(
            directory / "tournament.json",
            {"ratings": rows, "pairings": pairs, "players": described, "settings": document(config)},
        )
        tournament.draw(rows, directory / "ratings.png")
        for line in tournament.table(rows, pairs):
            console.line(line)
        console.ok(f"Written: {directory / 'tournament.json'}, {directory / 'ratings.png'}")
    newest_name = list(players)[len(versions) - 1]
    return float(next(row["rating"] for row in rows if row["name"] == newest_name))


@contextmanager
def _asking() -> Iterator[None]:
    """Where a ValueError is about what was asked for: it is told in one line."""
    with building():
        try:
            yield
        except ValueError as error:
            raise ValueError("; ".join(str(error).splitlines())) from error


def _player(value: str, setting: str) -> "Player":
    from rlbot.policy import load

    if setting == "opponent" and value in ("random", "idle"):
        return value  # type: ignore[return-value]  # one of the two
    return load(value, setting)


def _name(player: "Player") -> str:
    return player if isinstance(player, str) else player.path.name


def _describe(player: "Player") -> Any:
    if isinstance(player, str):
        return {"name": player}
    return {"name": player.path.name, "path": str(player.path), "timesteps": player.timesteps}


def _conditions(config: EvaluateConfig, players: "list[tuple[str, Player]]") -> "Conditions":
    from rlbot.rating.matches import Conditions, common_timing

    return Conditions(
        config.team_size,
        config.team_size if config.opponent_team_size is None else config.opponent_team_size,
        config.match_seconds,
        *common_timing(players),
        deterministic=config.deterministic,
        seed=config.seed,
    )


def _workers(config: EvaluateConfig) -> int:
    from rlbot.processes.cores import available_cores

    return available_cores() if config.workers is None else config.workers


def _progress(console: "Console", total: int) -> Callable[[int], None]:
    began = time.monotonic()
    return lambda done: console.progress(done, total, done / (time.monotonic() - began), unit="matches")


def _write(path: Path, content: dict[str, Any]) -> None:
    from rlbot.run.files import to_json, write_atomic

    write_atomic(path, to_json(content))


if __name__ == "__main__":
    command.run(main, "evaluate")
