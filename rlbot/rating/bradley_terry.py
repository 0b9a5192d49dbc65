"""Bradley-Terry ratings of all players on one scale, fitted to all results at once and fixed by two anchors.

A running Elo against a pool of the bot's own past inflates, since the pool changes with the bot, and it depends on the
order of the matches. Here one model is fitted to all results, so neither the order nor the number of versions matters.
The scale is fixed by the anchors, two players that never change:

- random (every action of the table is equally likely) is 0 by definition, since only differences have a meaning;
- idle (never acts) has the rating that was once measured against random. See IDLE.

Anchors are constants of the fit: no result moves them. So ratings of different tournaments can be compared, and a
player that is 200 points above another is expected to score 76% against it. A draw counts as half a win. A model with
draws (Davidson, 1970) assumes one tendency to draw for all players, but two weak bots nearly always draw 0:0 and two
strong ones seldom do. Half wins keep the expected score right, and the intervals come out too wide rather than too
narrow.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POINTS = 400 / math.log(10)  # Elo points for a unit of log odds: 400 points are odds of 10 to 1
# Random against idle at tick_skip 8 won 47, drew 1728 and lost 25 matches: 4 points apart, with a standard error of 2.
# 1v1 (1000 matches of 120 s: 3, 400 of 300 s: 5) and 2v2 (400 of 120 s: 5) agree, so one number is used for both.
IDLE = -4.0
ANCHORS: Mapping[str, float] = {"random": 0.0, "idle": IDLE}
# Standard deviation of the prior on a rating, around random. It keeps ratings finite if a player won or lost every
# match. It weighs as much as an eighth of one close match, so it does not matter after 50 matches.
PRIOR_SPREAD = 1000.0
_Z = 1.959964  # of a 95% interval
_MAX_STEPS = 100
_TOLERANCE = 1e-10  # of a step, in log odds


class Games(NamedTuple):
    """Results of the matches between two players, from the view of the first."""

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
    """Ratings of the players `names` (K,) and their covariance, in points; that of the anchors is 0."""

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
        """The 95% interval, in points."""
        return self[name] - _Z * self.error(name), self[name] + _Z * self.error(name)

    def expected(self, first: str, second: str) -> tuple[float, float, float]:
        """Expected score of `first` against `second` (a draw counts half), and the ends of its 95% interval."""
        a, b = self.names.index(first), self.names.index(second)
        gap = self.points[a] - self.points[b]
        spread = math.sqrt(max(self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b], 0.0))
        score, low, high = (_logistic((gap + z * spread) / POINTS) for z in (0.0, -_Z, _Z))
        return float(score), float(low), float(high)


def fit(games: Iterable[Games], anchors: Mapping[str, float] = ANCHORS) -> Ratings:
    """The ratings of all players in `games` and of the anchors, by maximum a posteriori.

    Bradley and Terry (1952): P(first beats second) = 1 / (1 + exp(-(r_first - r_second))), in log odds, with a normal
    prior of PRIOR_SPREAD on each rating that is not an anchor's. The log posterior is strictly concave, so Newton's
    method finds its only maximum. The covariance is the inverse of the information there (Fisher information plus
    prior). Raises ValueError if a player plays against itself or a count is negative.
    """
    games = list(games)
    for each in games:
        if each.first == each.second or min(each.wins, each.draws, each.losses) < 0:
            raise ValueError(f"{tuple(each)}: needs two different players and counts of at least 0")
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
        # Far from the maximum a full Newton step would overshoot, so its length is limited to 1.
        x[free] += step / max(1.0, float(np.abs(step).max(initial=0.0)))
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
    covariance = np.zeros((len(names), len(names)))
    information = _slope(x, pairs, scores, matches)[1]
    covariance[np.ix_(free, free)] = np.linalg.inv(information[np.ix_(free, free)]) * POINTS**2
    points = x * POINTS
    points[: len(anchors)] = list(anchors.values())  # exact, without rounding errors
    return Ratings(names, points, covariance)


def _slope(x: Floats, pairs: NDArray[np.int64], scores: Floats, matches: Floats) -> tuple[Floats, Floats]:
    """Gradient (K,) of the log posterior at x (K,), and the information (K, K), its negative second derivative."""
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
