"""Stages, the schedule, opponents, and ratings."""

from rlbot.curriculum.opponents import DRAWS, Opponents, Pool
from rlbot.curriculum.ratings import ANCHORS, Games, Ratings, fit
from rlbot.curriculum.stages import KINDS, TEAM_SIZES, Stage, self_play, stage_at, team_sizes

__all__ = [
    "ANCHORS",
    "DRAWS",
    "KINDS",
    "TEAM_SIZES",
    "Games",
    "Opponents",
    "Pool",
    "Ratings",
    "Stage",
    "fit",
    "self_play",
    "stage_at",
    "team_sizes",
]
