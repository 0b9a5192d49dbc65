"""Stages, the schedule, and opponents."""

from rlbot.curriculum.opponents import Opponents, Pool
from rlbot.curriculum.stages import TEAM_SIZES, Stage, stage_at, team_sizes

__all__ = ["TEAM_SIZES", "Opponents", "Pool", "Stage", "stage_at", "team_sizes"]
