"""The stages of a curriculum, and the team sizes and self-play of their arenas."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlbot.values.ramp import Ramp, value_at

KINDS = ("self", "past", "random", "idle")  # of opponents; any other name is the path of a policy
TEAM_SIZES = {"1v1": (1, 1), "1v2": (1, 2), "1v3": (1, 3), "2v2": (2, 2), "2v3": (2, 3), "3v3": (3, 3)}


@dataclass(frozen=True)
class Stage:
    """One stage, which lasts until timestep `until` (None: to the end of the run) or until all of `skills` are reached
    (see `rlbot.curriculum.skill`), whichever comes first.

    teams: shares of TEAM_SIZES among the arenas. opponents: shares of "self", "past", "random", "idle" and
    paths of policies (see `self_play` and `Opponents`). reward: weights that replace those of the run in this stage.
    reset_mix: the resets of the settings that replace the run's, if not empty. weights: those of the run.
    """

    name: str
    until: int | None
    teams: Mapping[str, float]
    opponents: Mapping[str, float]
    reward: Mapping[str, float | Ramp] = field(default_factory=dict)
    reset_mix: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float | Ramp] = field(default_factory=dict)
    skills: Mapping[str, float] = field(default_factory=dict)

    @property
    def end(self) -> str:
        """Like "2000000 timesteps", "touches_per_minute 8 or 2000000 timesteps", or "the end"."""
        ends = [" and ".join(f"{skill} {least:g}" for skill, least in self.skills.items())] if self.skills else []
        ends += [f"{self.until} timesteps"] if self.until is not None else []
        return " or ".join(ends) or "the end"

    def reward_weights(self, timesteps: int, began: int) -> dict[str, float]:
        """Returns the weight of every reward term at `timesteps` of the run; the stage began at `began`. Ramps of the
        run count from the start of the training, those of the stage from its beginning."""
        weights = {name: value_at(weight, timesteps) for name, weight in self.weights.items()}
        return weights | {name: value_at(weight, timesteps - began) for name, weight in self.reward.items()}

    def ramped(self) -> list[str]:
        """Returns the names of the reward terms whose weight is a ramp in this stage."""
        return [name for name, weight in {**self.weights, **self.reward}.items() if isinstance(weight, Ramp)]


def stage_at(stages: Sequence[Stage], timesteps: int, passed: int = 0) -> int:
    """Returns the index of the stage to which `timesteps` belongs, in a run that has `passed` the skills of so many
    stages. The last stage has no end."""
    for index, stage in enumerate(stages[:-1]):
        in_time = stage.until is None or timesteps < stage.until
        if in_time and not (stage.skills and index < passed):
            return index
    return len(stages) - 1


def team_sizes(stage: Stage, num_arenas: int) -> list[tuple[int, int]]:
    """Returns the (blue, orange) cars of each arena, by the stage's shares (rounded by largest remainder).

    Every size is spread evenly over the arenas, so that consecutive arenas, such as those of a worker, have about the
    same mix as the whole batch. If the teams differ in size, they change sides from arena to arena, separately among
    self-play arenas and the others, so that the learner learns to play both sides.
    """
    teams = []
    for name, number in _numbered(stage, num_arenas):
        blue, orange = TEAM_SIZES[name]
        teams.append((blue, orange) if number % 2 == 0 else (orange, blue))
    return teams


def orange_first(stage: Stage, num_arenas: int) -> list[bool]:
    """Returns to which arenas orange's cars are added before blue's: half of those of every team size, on either side,
    with self-play and without."""
    return [number // 2 % 2 == 1 for _, number in _numbered(stage, num_arenas)]


def _numbered(stage: Stage, num_arenas: int) -> list[tuple[str, int]]:
    """Returns the name of each arena's team size, and how many of the arenas before it are like it: of this size, and
    self-play or not, as it is."""
    seen: Counter[tuple[str, bool]] = Counter()
    numbered = []
    for each in zip(_sizes(stage, num_arenas), self_play(stage, num_arenas), strict=True):
        numbered.append((each[0], seen[each]))
        seen[each] += 1
    return numbered


def self_play(stage: Stage, num_arenas: int) -> list[bool]:
    """Returns which arenas are self-play: the share of "self", spread evenly over the arenas of every team size.

    In a self-play arena the learner plays all cars and learns from them. In the others it plays blue, and orange is an
    opponent that does not learn.
    """
    share = stage.opponents.get("self", 0.0) / sum(stage.opponents.values())
    sizes, own, before = _sizes(stage, num_arenas), [False] * num_arenas, 0
    for size in dict.fromkeys(sizes):
        arenas = [n for n, each in enumerate(sizes) if each == size]
        after = before + len(arenas)
        count = int(after * share + 1e-9) - int(before * share + 1e-9)
        for n, which in zip(arenas, _spread([len(arenas) - count, count]), strict=True):
            own[n] = which == 1
        before = after
    return own


def _sizes(stage: Stage, num_arenas: int) -> list[str]:
    """Returns the name of each arena's team size."""
    total = sum(stage.teams.values())
    exact = {name: num_arenas * share / total for name, share in stage.teams.items()}
    counts = {name: int(number) for name, number in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: num_arenas - sum(counts.values())]:
        counts[name] += 1
    names = list(counts)
    return [names[group] for group in _spread(list(counts.values()))]


def _spread(counts: Sequence[int]) -> list[int]:
    """Distributes groups of `counts` members evenly over sum(counts) places; returns the group of each place. Each
    place goes to the group that lags furthest behind its share."""
    total, placed, places = sum(counts), [0] * len(counts), []
    for n in range(1, total + 1):
        lag = [n * count - total * done for count, done in zip(counts, placed, strict=True)]
        group = lag.index(max(lag))
        placed[group] += 1
        places.append(group)
    return places
