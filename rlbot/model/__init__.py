"""Actor-critic networks, action heads and running statistics."""

from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import ContinuousHead, Head, MultiDiscreteHead, TableHead, make_head
from rlbot.model.running import RunningMeanStd, merge_moments

__all__ = [
    "ActorCritic",
    "ContinuousHead",
    "Head",
    "MultiDiscreteHead",
    "RunningMeanStd",
    "TableHead",
    "make_head",
    "merge_moments",
]
