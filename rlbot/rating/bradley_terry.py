"""How good everybody is on one scale: a Bradley-Terry rating of all results at once, tied to players that never change.

A running Elo against a pool of one's own past inflates: its pool moves with the bot, and the order of the matches
counts. Here one model is fitted to all results together, so that neither the order nor the number of versions matters,
and the scale hangs on the anchors, which are fixed players under fixed rules:

- random (every action of the table equally likely) is 0 by definition: a scale of differences needs one free choice;
- idle (never acts) is the number that was measured once against random; a second choice is not free, for the distance
  of two fixed players is a fact. See IDLE.

Anchors are constants of the fit. No result moves them, so a rating of one tournament compares with one of another, and
"+200" keeps its meaning: it scores 76% against what has 200 less. A draw counts as half a win. A model of draws of its
own (Davidson, 1970) would need one willingness to draw for all, while two weak bots draw 0:0 nearly always and two
strong ones seldom; half wins leave the expected score right, and make intervals wider than need be, not narrower.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POINTS = 400 / math.log(10)  # a unit of log odds on the Elo scale: 400 points are odds of 10 to 1
# Random against idle at tick_skip 8 won 47, drew 1728 and lost 25 matches: 4 points apart, with a standard error of 2.
# It was alike in 1v1 (1000 of 120 s: 3, 400 of 300 s: 5) and 2v2 (400 of 120 s: 5), so that one number serves them all.
IDLE = -4.0
ANCHORS: Mapping[str, float] = {"random": 0.0, "idle": IDLE}
# Before any result a player is taken to be within this of random (standard deviation). It keeps the rating of who won
# or lost everything finite, and weighs as much as an eighth of one close match: 50 matches do not feel it.
PRIOR_SPREAD = 1000.0
_Z = 1.959964  # of a 95% interval
_MAX_STEPS = 100
_TOLERANCE = 1e-10  # of a step, in log odds


class Games(NamedTuple):
    """The matches of two players, as seen by the first."""

    first: str
    second: str
    wins: float
    draws: float
    losses: float

    @property
    def matches(self) -> float:
        return self.wins + self.draws + self.losses


@dataclass(frozen=True)
class Ratings:
    """Ratings of `names` (K,) with their joint uncertainty, in points; the anchors among them have none."""

    names: tuple[str, ...]
    points: Floats  # (K,)
    covariance: Floats  # (K, K)

    def __getitem__(self, name: str) -> float:
        return float(self.points[self.names.index(name)])

    def error(self, name: str) -> float:
        """Standard error, in points."""
        k = self.names.index(name)
        return math.sqrt(self.covariance[k, k])

    def interval(self, name: str) -> tuple[float, float]:
        """Of 95%, in points."""
        return self[name] - _Z * self.error(name), self[name] + _Z * self.error(name)

    def expected(self, first: str, second: str) -> tuple[float, float, float]:
        """The share of wins, draws counting half, that `first` is expected to score against `second`, and the ends of
        its 95% interval."""
        a, b = self.names.index(first), self.names.index(second)
        gap = self.points[a] - self.points[b]
        spread = math.sqrt(max(self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b], 0.0))
        score, low, high = (_logistic((gap + z * spread) / POINTS) for z in (0.0, -_Z, _Z))
        return float(score), float(low), float(high)


def fit(games: Iterable[Games], anchors: Mapping[str, float] = ANCHORS) -> Ratings:
    """The ratings of everybody who occurs in `games`, and of the anchors, by maximum a posteriori.

    Bradley and Terry (1952): P(first beats second) = 1 / (1 + exp(-(r_first - r_second))), in log odds, with a normal
    prior of PRIOR_SPREAD on each rating that is not fixed. The log posterior is strictly concave, so Newton's method
    finds its one maximum; the covariance is the inverse of the information there (Fisher information plus prior).
    Raises ValueError for games of a player against itself and for negative counts.
    """
    games = list(games)
    for each in games:
        if each.first == each.second or min(each.wins, each.draws, each.losses) < 0:
            raise ValueError(f"{tuple(each)}: needs two players and counts of at least 0")
    names = tuple(dict.fromkeys([*anchors, *(name for each in games for name in (each.first, each.second))]))
    index = {name: k for k, name in enumerate(names)}
    pairs = np.array([(index[each.first], index[each.second]) for each in games], np.int64).reshape(-1, 2)
    scores = np.array([each.wins + each.draws / 2 for each in games], np.float64)
    matches = np.array([each.matches for each in games], np.float64)

    x = np.array([anchors.get(name, 0.0) / POINTS for name in names])
    free = np.arange(len(anchors), len(names))
    for _ in range(_MAX_STEPS):
        gradient, information = _slope(x, pairs, scores, matches)
        step = np.linalg.solve(information[np.ix_(free, free)], gradient[free])
        # Far from the maximum the curve is flatter than the parabola through it: a whole step would overshoot.
        x[free] += step / max(1.0, float(np.abs(step).max(initial=0.0)))
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
    covariance = np.zeros((len(names), len(names)))
    information = _slope(x, pairs, scores, matches)[1]
    covariance[np.ix_(free, free)] = np.linalg.inv(information[np.ix_(free, free)]) * POINTS**2
    points = x * POINTS
    points[: len(anchors)] = list(anchors.values())  # to the last digit
    return Ratings(names, points, covariance)


def _slope(x: Floats, pairs: NDArray[np.int64], scores: Floats, matches: Floats) -> tuple[Floats, Floats]:
    """Gradient (K,) of the log posterior at x (K,), and the information (K, K): minus its second derivative."""
    expected = _logistic(x[pairs[:, 0]] - x[pairs[:, 1]])
    surplus, weight = scores - matches * expected, matches * expected * (1 - expected)
    precision = (POINTS / PRIOR_SPREAD) ** 2
    gradient = -precision * x
    np.add.at(gradient, pairs[:, 0], surplus)
    np.add.at(gradient, pairs[:, 1], -surplus)
    information = np.eye(len(x)) * precision
    for a, b in ((0, 0), (1, 1)):
        np.add.at(information, (pairs[:, a], pairs[:, b]), weight)
    for a, b in ((0, 1), (1, 0)):
        np.add.at(information, (pairs[:, a], pairs[:, b]), -weight)
    return gradient, information


def _logistic(x: Floats | float) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(x))))
