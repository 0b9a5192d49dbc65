"""Intervals against hand-computed numbers, and the summary of matches that were made up."""

import numpy as np
import pytest

from rlbot.env.counts import COUNTS
from rlbot.rating.matches import Results
from rlbot.rating.statistics import bootstrap_mean, summarise, table, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (61, 100, 0.5120, 0.6998)],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    """Wilson (1927), as in Brown, Cai and DasGupta (2001): (k + z^2/2 -+ z sqrt(k (n - k) / n + z^2/4)) / (n + z^2)."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_bootstrap_agrees_with_the_normal_interval_where_that_holds() -> None:
    values = np.random.default_rng(0).integers(-3, 4, 400)
    mean, error = values.mean(), values.std() / 20
    found = bootstrap_mean(values, unit=1.0)
    assert found == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.1 * error)
    assert found == bootstrap_mean(values[::-1], unit=1.0)


@pytest.mark.parametrize("matches", [1, 20, 200])
def test_matches_that_all_ended_alike_prove_little_where_they_are_few(matches: int) -> None:
    """Two made-up ones, a goal above and below: a standard error of sqrt(2) / (matches + 2)."""
    low, high = bootstrap_mean(np.full(matches, 2), unit=1.0)
    assert (2 - low, high - 2) == pytest.approx((1.96 * 2**0.5 / (matches + 2),) * 2, rel=0.35)


def test_summary_of_four_matches() -> None:
    """Two cars against one, 2:0, 1:1, 0:1 and 3:0; half a minute each at 15 steps a second."""
    counts = np.zeros((4, 2, len(COUNTS)))

    def put(name: str, first: float, second: float) -> None:
        counts[:, :, COUNTS.index(name)] = first, second

    put("steps", 900, 450)
    put("touches", 6, 1)
    put("speed", 900 * 1000, 450 * 200)
    put("air", 90, 0)
    put("boost_used", 100, 0)
    goals = np.array([[2, 0], [1, 1], [0, 1], [3, 0]])
    counts[:, :, COUNTS.index("goals")] = goals * [2, 1]  # each car counts those of its team
    summary = summarise(Results(counts, (2, 1), 8 / 120))
    assert [summary[name] for name in ("matches", "wins", "draws", "losses")] == [4, 2, 1, 1]
    assert (summary["goals_for"], summary["goals_against"], summary["goal_difference"]) == (6, 2, 1.0)
    assert (summary["win_rate"], summary["score"], summary["distinct_matches"]) == (0.5, 0.625, 4)
    low, high = summary["goal_difference_interval"]
    assert -1 <= low < 0.5 < 1.5 < high <= 3
    mine, theirs = summary["play"]["checkpoint"], summary["play"]["opponent"]
    assert (mine["touches_per_minute"], theirs["touches_per_minute"]) == (6.0, 2.0)
    assert (mine["speed"], mine["air_share"], mine["boost_used_per_minute"]) == (1000.0, 0.1, 100.0)
    lines = table(summary, "mine", "theirs")
    assert "  won 2, drew 1, lost 1" in lines and all(line.isascii() and len(line) < 100 for line in lines)
