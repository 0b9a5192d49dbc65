"""Stages, the schedule, opponents, and ratings."""

from rlbot.curriculum.opponents import DRAWS, Opponents, Pool
from rlbot.curriculum.ratings import ANCHORS, Games, Ratings, fit
from rlbot.curriculum.stages import TEAM_SIZES, Stage, self_play, stage_at, team_sizes

__all__ = [
    "ANCHORS",
    "DRAWS",
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
