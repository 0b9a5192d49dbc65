"""Play one bot against one opponent, or a tournament of all versions; print the results and return them as JSON."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbot.bots import StateBot, pace_note
from rlbot.picture import heatmap
from rlbot.policy import Bot
from rlbot.rating import tournament
from rlbot.rating.matches import Conditions, Pairing, Player, Results, play, player_name
from rlbot.rating.statistics import summarise, table
from rlbot.run import Console
from rlbot.run.files import write_atomic
from rlbot.sim import version


@dataclass(frozen=True)
class Machine:
    """`meshes`: folder of the collision meshes (None: the downloaded ones). `workers`: number of worker processes."""

    meshes: str | None
    workers: int


def compare(
    first: Player,
    second: Player,
    matches: int,
    conditions: Conditions,
    machine: Machine,
    folder: Path,
    console: Console,
    record: int = 0,
) -> dict[str, Any]:
    """Play `matches`, print the outcome and return it. "score" is that of the first player; a draw counts half.

    Writes heatmap.png and recordings of `record` of the matches into `folder`.
    """
    names = player_name(first), player_name(second)
    console.start(f"{matches} matches of {conditions.seconds:g} s: {names[0]} against {names[1]}")
    _print_engine((first, second), conditions, console)
    (results,) = play(
        [first, second], [Pairing(0, 1, matches, record)], conditions, machine.meshes, machine.workers,
        _progress(console, matches), traces=True,
    )  # fmt: skip
    summary = summarise(results)
    for line in table(summary, *names):
        console.line(line)
    if summary["distinct_matches"] < matches:
        console.warn(
            f"Only {summary['distinct_matches']} of {matches} matches differ, so the intervals are too narrow; "
            "with deterministic=false actions are drawn and all matches differ"
        )
    assert results.traces is not None
    title = f"{matches} matches of {conditions.seconds:g} s, {names[0]} against {names[1]}"
    heatmap.draw(results.traces, names, title, folder / "heatmap.png")
    _write_recordings(results, folder / "recordings", "match", console)
    sides = ("blue" if blue else "orange" for blue in results.first_is_blue)
    single = [
        {"side": side, "goals_for": int(mine), "goals_against": int(theirs)}
        for side, (mine, theirs) in zip(sides, results.goals, strict=True)
    ]
    players = {"checkpoint": _describe(first), "opponent": _describe(second)}
    return {**summary, "engine": version(conditions.engine), "players": players, "single_matches": single}


def rate(
    versions: Sequence[Bot],
    others: Sequence[Bot | StateBot],
    pairings: Sequence[Pairing],
    conditions: Conditions,
    machine: Machine,
    folder: Path,
    console: Console,
) -> dict[str, Any]:
    """Play a tournament of the versions, the others and both anchors, print the ratings and return everything:
    "ratings" has a row for each player. Writes ratings.png, and the recordings that the pairings ask for, into
    `folder`."""
    players = tournament.named(versions, others)
    matches = sum(pairing.matches for pairing in pairings)
    console.start(
        f"Tournament of {len(versions)} versions, {len(others)} others and 2 anchors: {len(pairings)} pairings, "
        f"{matches} matches of {conditions.seconds:g} s"
    )
    _print_engine(list(players.values()), conditions, console)
    results = play(
        list(players.values()), pairings, conditions, machine.meshes, machine.workers, _progress(console, matches)
    )
    games = tournament.games(list(players), pairings, results)
    rows, pairs = tournament.standing(players, games)
    tournament.draw(rows, folder / "ratings.png")
    named = list(players)
    for pairing, result in zip(pairings, results, strict=True):
        pair = f"{named[pairing.first]} against {named[pairing.second]}"
        _write_recordings(result, folder / "recordings", _file_name(pair), console)
    for line in tournament.table(rows, pairs):
        console.line(line)
    return {
        "engine": version(conditions.engine), "ratings": rows, "pairings": pairs, "players": described(players)
    }  # fmt: skip


def described(players: Mapping[str, Player]) -> dict[str, Any]:
    """The players by name, JSON-able."""
    return {name: _describe(player) for name, player in players.items()}


def _print_engine(players: Sequence[Player], conditions: Conditions, console: Console) -> None:
    """Prints the engine, and a warning if a player was trained on another one."""
    here = version(conditions.engine)
    console.ok(f"Engine: {here}")
    for player in players:
        if isinstance(player, StateBot) and (note := pace_note(player, conditions.tick_skip)):
            console.warn(note)
        if isinstance(player, Bot) and player.engine != here:
            console.warn(f"{player_name(player)} was trained on {player.engine}: it may play worse on this engine")


def _write_recordings(results: Results, folder: Path, stem: str, console: Console) -> None:
    """Write each recording to folder/STEM_NUMBER.npz, NUMBER being that of the match."""
    for number, data in sorted(results.recordings.items()):
        folder.mkdir(exist_ok=True)
        path = folder / f"{stem}_{number:03d}.npz"
        write_atomic(path, data)
        console.ok(f"Recorded: {path}; python -m rlbot.watch recording={path}")


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)


def _describe(player: Player) -> Any:
    if isinstance(player, str):
        return {"name": player}
    if isinstance(player, StateBot):
        return {"name": player.name, **player.target.document()}
    return {
        "name": player.path.name, "path": str(player.path), "timesteps": player.timesteps, "engine": player.engine
    }  # fmt: skip


def _progress(console: Console, total: int) -> Callable[[int], None]:
    began = time.monotonic()
    return lambda done: console.progress(done, total, done / (time.monotonic() - began), unit="matches")
