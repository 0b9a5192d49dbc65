"""Who plays whom, and the standing that comes of it."""

from pathlib import Path

import numpy as np

from rlbot.policy import Bot, Network
from rlbot.rating.bradley_terry import Games
from rlbot.rating.matches import Pairing
from rlbot.rating.tournament import draw, named, schedule, standing, table

NETWORK = Network(180, (2,), False, "relu", "table")


def bot(path: str, timesteps: int) -> Bot:
    return Bot(NETWORK, np.zeros(NETWORK.size(), np.float32), 8, 0, timesteps, Path(path))


def test_few_players_all_meet() -> None:
    pairings = schedule(num_versions=3, num_players=6, matches=100, max_matches=3000)
    assert len(pairings) == 14, "15 pairs of 6, without the two anchors"
    assert {pairing.matches for pairing in pairings} == {100}
    assert Pairing(4, 5, 100) not in pairings


def test_many_players_meet_neighbours_anchors_and_some_others() -> None:
    pairings = schedule(num_versions=20, num_players=23, matches=20, max_matches=1600)
    pairs = {(pairing.first, pairing.second) for pairing in pairings}
    assert len(pairs) == len(pairings) == 80
    assert {(i, i + 1) for i in range(19)} <= pairs
    assert {(i, anchor) for i in range(21) for anchor in (21, 22)} <= pairs
    assert (19, 20) in pairs, "the newest version and the other bot"
    assert schedule(20, 23, 20, 1600) == pairings != schedule(20, 23, 20, 1600, seed=1)


def test_a_small_budget_is_spread_thin() -> None:
    pairings = schedule(num_versions=20, num_players=22, matches=100, max_matches=300)
    assert len(pairings) == 59 and {pairing.matches for pairing in pairings} == {5}
    assert {pairing.matches for pairing in schedule(20, 22, 100, 10)} == {2}


def test_standing(tmp_path: Path) -> None:
    versions = [bot("run/checkpoints/step_000000100", 100), bot("run/checkpoints/step_000000200", 200)]
    others = [bot(f"{home}/mine/checkpoints/step_000000150", 150) for home in ("a", "b")]
    players = named(versions, others)
    old, new, other, copy = list(players)[:4]
    assert (old, other, copy) == ("step_000000100", "mine/step_000000150", "mine/step_000000150 (2)")
    assert list(players)[4:] == ["random", "idle"]
    played = [
        Games(old, "random", 60, 20, 20),
        Games(new, old, 60, 20, 20),
        Games(new, "idle", 10, 0, 90),  # a weakness that one number does not show
        Games(other, new, 10, 30, 60),
        Games(copy, "random", 0, 100, 0),
    ]
    rows, pairs = standing(players, played)
    assert [row["rating"] for row in rows] == sorted((row["rating"] for row in rows), reverse=True)
    by_name = {row["name"]: row for row in rows}
    assert by_name["random"]["rating"] == 0 and by_name["random"]["interval"] == (0, 0)
    assert [by_name[new][key] for key in ("wins", "draws", "losses", "role")] == [130, 50, 120, "version"]
    assert by_name["idle"]["wins"] == 90
    surprises = {(pair["first"], pair["second"]): pair["surprise"] for pair in pairs}
    assert surprises[new, "idle"] < -3 and abs(surprises[copy, "random"]) < 0.1
    lines = table(rows, pairs)
    assert any(line.startswith(f"  unlike its rating: {new} scored 0.10 against idle") for line in lines)
    draw(rows, tmp_path / "ratings.png")
    assert (tmp_path / "ratings.png").read_bytes().startswith(b"\x89PNG")
