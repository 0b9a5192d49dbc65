"""Ratings: known strengths are recovered, opponents' ratings do not bias a rating, anchors stay, all are finite."""

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest

from rlbot.rating.bradley_terry import ANCHORS, IDLE, PRIOR_SPREAD, Games, fit


def score(gap: float) -> float:
    """What a lead of `gap` points is expected to score."""
    return 1 / (1 + 10 ** (-gap / 400))


def simulate(strengths: Mapping[str, float], matches: int, seed: int, draws: float = 0.0) -> list[Games]:
    """Everybody against everybody; the share `draws` of what is not decided by the strengths is drawn."""
    rng = np.random.default_rng(seed)
    games = []
    for first, second in itertools.combinations(strengths, 2):
        p = score(strengths[first] - strengths[second])
        drawn = draws * 2 * min(p, 1 - p)
        games.append(Games(first, second, *rng.multinomial(matches, [p - drawn / 2, drawn, 1 - p - drawn / 2])))
    return games


STRENGTHS = {"random": 0.0, "idle": IDLE, "a": 150.0, "b": 300.0, "c": 700.0, "d": -250.0}


def test_two_players_by_hand() -> None:
    """3 wins of 4 are log(3) in log odds, but for the prior; the information is Fisher's n p (1 - p) plus its own."""
    ratings = fit([Games("a", "random", 3000, 0, 1000)])
    assert ratings["a"] == pytest.approx(400 * math.log10(3), abs=0.1)
    information = 4000 * 0.75 * 0.25 * (math.log(10) / 400) ** 2 + 1 / PRIOR_SPREAD**2
    assert ratings.error("a") == pytest.approx(1 / math.sqrt(information), rel=1e-3)
    assert fit([Games("a", "random", 2000, 2000, 0)])["a"] == pytest.approx(ratings["a"]), "a draw is half a win"
    assert fit([Games("random", "a", 1000, 0, 3000)])["a"] == pytest.approx(ratings["a"]), "whoever is named first"


@pytest.mark.parametrize("draws", [0.0, 0.8])
def test_known_strengths_lie_in_their_intervals(draws: float) -> None:
    """Of many intervals of 95% about 95% hold the truth; more with draws, where they are too wide by design."""
    held, ratings_held, tried = 0, 0, 0
    for seed in range(40):
        ratings = fit(simulate(STRENGTHS, 60, seed, draws))
        for first, second in itertools.combinations(STRENGTHS, 2):
            if not {first, second} <= set(ANCHORS):
                _, low, high = ratings.expected(first, second)
                held += low <= score(STRENGTHS[first] - STRENGTHS[second]) <= high
                tried += 1
        for name in "abcd":
            low, high = ratings.interval(name)
            ratings_held += low <= STRENGTHS[name] <= high
    assert 0.92 <= held / tried <= (0.98 if draws == 0 else 1.0)
    assert 0.90 <= ratings_held / 160 <= (0.99 if draws == 0 else 1.0)


def test_many_near_copies_do_not_inflate_anybody() -> None:
    """A rolling pool of oneself is what inflates a running Elo: here 30 copies of c meet each other and everybody."""
    alone = fit(simulate(STRENGTHS, 100, seed=1))
    copies = {f"c{i}": STRENGTHS["c"] + i for i in range(30)}
    crowded = fit(simulate({**STRENGTHS, **copies}, 100, seed=2))
    for name in "abcd":
        low, high = alone.interval(name)
        assert low <= crowded[name] <= high
        low, high = crowded.interval(name)
        assert low <= STRENGTHS[name] <= high
    mean = np.mean([crowded[name] for name in copies])
    assert abs(mean - np.mean(list(copies.values()))) < 2 * alone.error("c")


def test_games_do_not_move_the_anchors() -> None:
    for games in (
        [],
        [Games("a", "random", 50, 0, 0)],
        [Games("idle", "random", 1000, 0, 0), Games("a", "b", 1, 2, 3)],
    ):
        ratings = fit(games)
        assert [(name, ratings[name], ratings.error(name)) for name in ANCHORS] == [
            ("random", 0.0, 0.0),
            ("idle", -4.0, 0.0),
        ]


def test_the_order_of_matches_and_of_players_does_not_matter() -> None:
    games = simulate(STRENGTHS, 30, seed=3)
    ratings, again = fit(games), fit(games[::-1])
    halves = fit([half for each in games for half in (each._replace(wins=0, draws=0), each._replace(losses=0))])
    for name in STRENGTHS:
        assert again[name] == pytest.approx(ratings[name], abs=1e-6) == halves[name]
        assert again.error(name) == pytest.approx(ratings.error(name)) == pytest.approx(halves.error(name))


def test_who_won_or_lost_everything_stays_finite() -> None:
    ratings = fit([Games("best", "random", 1000, 0, 0), Games("worst", "random", 0, 0, 1000)])
    assert 800 < ratings["best"] < 2000
    assert ratings["worst"] == pytest.approx(-ratings["best"])
    assert 100 < ratings.error("best") < PRIOR_SPREAD
    more = fit([Games("best", "random", 10_000, 0, 0)])
    assert ratings["best"] < more["best"] < 3000


def test_without_games_against_known_players_only_the_prior_gives_the_rating() -> None:
    """Two players that met only each other: their difference is known, but not their mean."""
    ratings = fit([Games("a", "b", 300, 0, 100), Games("c", "random", 5, 5, 5)])
    assert ratings["a"] - ratings["b"] == pytest.approx(400 * math.log10(3), abs=2)
    assert ratings["a"] + ratings["b"] == pytest.approx(0, abs=1e-6)
    assert ratings.error("a") > 650
    assert ratings.expected("a", "b")[1] > 0.70, "their difference is known well"
    assert ratings.expected("a", "c")[1] < 0.05


def test_malformed_games_are_refused() -> None:
    for games in (Games("a", "a", 1, 0, 0), Games("a", "b", -1, 0, 0)):
        with pytest.raises(ValueError, match="needs two different players and counts of at least 0"):
            fit([games])
