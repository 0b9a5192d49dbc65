"""The stages of a curriculum, and the opponents."""

from rlbot.curriculum.opponents import Odds, Opponents
from rlbot.curriculum.pool import DRAWS, Pool
from rlbot.curriculum.stages import KINDS, TEAM_SIZES, Stage, orange_first, self_play, stage_at, team_sizes

__all__ = [
    "DRAWS",
    "KINDS",
    "TEAM_SIZES",
    "Odds",
    "Opponents",
    "Pool",
    "Stage",
    "orange_first",
    "self_play",
    "stage_at",
    "team_sizes",
]
