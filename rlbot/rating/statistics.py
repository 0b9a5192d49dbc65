"""Summaries of match results with 95% intervals."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.rating.matches import Results

_Z = 1.959964  # of a 95% interval
_RESAMPLES = 10_000
_RATES = {  # name: its count; all are per minute and car
    "touches_per_minute": "touches",
    "boost_used_per_minute": "boost_used",
    "boost_pickups_per_minute": "boost_pickups",
    "demolitions_per_minute": "demos",
    "shots_per_minute": "shots",
    "saves_per_minute": "saves",
    "passes_per_minute": "passes",
    "own_goals_per_minute": "own_goals",
}


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95% interval of a share by Wilson's score (1927): within [0, 1], and of positive width even for 0 of 10."""
    center = successes + _Z**2 / 2
    spread = _Z * math.sqrt(successes * (trials - successes) / trials + _Z**2 / 4)
    return max((center - spread) / (trials + _Z**2), 0.0), min((center + spread) / (trials + _Z**2), 1.0)


def bootstrap_mean(values: NDArray[Any], unit: float, seed: int = 0) -> tuple[float, float]:
    """95% percentile interval of the mean of `values` (M,), by bootstrap (Efron, 1979).

    Two values are added, one `unit` above and one below the mean, so that 20 matches that all ended 0:0 do not give an
    interval of width 0. (Agresti and Coull, 1998, do the same for shares.)"""
    mean = np.mean(values)
    distinct, counts = np.unique([*values, mean - unit, mean + unit], return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), _RESAMPLES)
    low, high = np.quantile(drawn @ distinct / counts.sum(), (0.025, 0.975))
    return float(low), float(high)


def summarise(results: Results) -> dict[str, Any]:
    """Outcome and intervals for the first player, and how each player played; JSON-able."""
    wins, draws, losses = results.outcomes
    goals, matches = results.goals, len(results)
    difference = goals[:, 0] - goals[:, 1]
    return {
        "matches": matches,
        "distinct_matches": results.distinct(),
        "wins": wins,
        "draws": draws,
        "losses": losses,
        "win_rate": wins / matches,
        "win_rate_interval": wilson(wins, matches),
        "score": (wins + draws / 2) / matches,
        "score_interval": bootstrap_mean((1 + np.sign(difference)) / 2, unit=0.5),
        "goals_for": int(goals[:, 0].sum()),
        "goals_against": int(goals[:, 1].sum()),
        "goal_difference": float(difference.mean()),
        "goal_difference_interval": bootstrap_mean(difference, unit=1.0),
        "play": {"checkpoint": _play(results, 0), "opponent": _play(results, 1)},
    }


def _play(results: Results, side: int) -> dict[str, float]:
    """Means over the cars of one side."""
    steps = float(results.count("steps")[:, side].sum())
    minutes = steps * results.seconds_per_step / 60
    total = {name: float(results.count(name)[:, side].sum()) for name in (*_RATES.values(), "speed", "air")}
    return {
        **{name: total[count] / minutes for name, count in _RATES.items()},
        "speed": total["speed"] / steps,  # uu/s
        "air_share": total["air"] / steps,
    }


def table(summary: dict[str, Any], name: str, opponent: str) -> list[str]:
    """The summary as lines of text."""
    low, high = summary["win_rate_interval"]
    lines = [
        f"{name} against {opponent}, {summary['matches']} matches",
        f"  won {summary['wins']}, drew {summary['draws']}, lost {summary['losses']}",
        f"  win rate         {_percent(summary['win_rate'])}  (95%: {_percent(low)} to {_percent(high)})",
    ]
    low, high = summary["score_interval"]
    lines.append(
        f"  score            {_percent(summary['score'])}  (95%: {_percent(low)} to {_percent(high)}; a draw is half)"
    )
    low, high = summary["goal_difference_interval"]
    lines.append(
        f"  goals a match    {summary['goal_difference']:+.2f}   (95%: {low:+.2f} to {high:+.2f}; "
        f"{summary['goals_for']} for, {summary['goals_against']} against)"
    )
    lines.append(f"  {'a car':28}{'checkpoint':>12}{'opponent':>12}")
    mine, theirs = summary["play"]["checkpoint"], summary["play"]["opponent"]
    for key, label in _LABELS.items():
        lines.append(f"  {label:28}{_number(key, mine[key]):>12}{_number(key, theirs[key]):>12}")
    return lines


_LABELS = {
    "touches_per_minute": "touches a minute",
    "speed": "mean speed, uu/s",
    "air_share": "time in the air",
    "boost_used_per_minute": "boost used a minute",
    "boost_pickups_per_minute": "boost pads a minute",
    "demolitions_per_minute": "demolitions a minute",
    "shots_per_minute": "shots a minute",
    "saves_per_minute": "saves a minute",
    "passes_per_minute": "passes a minute",
    "own_goals_per_minute": "own goals a minute",
}


def _number(key: str, value: float) -> str:
    return _percent(value) if key == "air_share" else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
