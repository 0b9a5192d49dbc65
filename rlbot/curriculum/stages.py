"""The stages of a curriculum, and which of them a timestep belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KINDS = ("self", "past", "random", "idle")  # of opponents; any other name is the path of a policy
TEAM_SIZES = {"1v1": (1, 1), "1v2": (1, 2), "2v2": (2, 2)}


@dataclass(frozen=True)
class Stage:
    """What is played until timestep `until` (None: to the end).

    teams: shares of "1v1", "1v2", "2v2" among the arenas. opponents: shares of "self", "past", "random", "idle" and
    paths of policies (see `self_play` and `Opponents`). reward and reset_mix replace weights of the run's own in this
    stage.
    """

    name: str
    until: int | None
    teams: Mapping[str, float]
    opponents: Mapping[str, float]
    reward: Mapping[str, float] = field(default_factory=dict)
    reset_mix: Mapping[str, float] = field(default_factory=dict)


def stage_at(stages: Sequence[Stage], timesteps: int) -> int:
    """Index of the stage in which timestep number `timesteps` is collected; the last stage has no end."""
    for index, stage in enumerate(stages[:-1]):
        assert stage.until is not None
        if timesteps < stage.until:
            return index
    return len(stages) - 1


def team_sizes(stage: Stage, num_arenas: int) -> list[tuple[int, int]]:
    """(blue, orange) cars of each arena, by the stage's shares (largest remainders get the odd arenas).

    Where the teams differ in size they change sides from arena to arena, so that the learner learns both parts.
    """
    total = sum(stage.teams.values())
    exact = {name: num_arenas * share / total for name, share in stage.teams.items()}
    counts = {name: int(number) for name, number in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: num_arenas - sum(counts.values())]:
        counts[name] += 1
    sizes = []
    for name, count in counts.items():
        blue, orange = TEAM_SIZES[name]
        sizes += [(blue, orange) if i % 2 == 0 else (orange, blue) for i in range(count)]
    return sizes


def self_play(opponents: Mapping[str, float], num_arenas: int) -> list[bool]:
    """Which arenas are played against itself: the share of "self", spread evenly over the batch.

    There the learner plays and learns from every car. In the others it plays blue, and orange is somebody who does not
    learn.
    """
    share = opponents.get("self", 0.0) / sum(opponents.values())
    return [int((n + 1) * share + 1e-9) > int(n * share + 1e-9) for n in range(num_arenas)]
