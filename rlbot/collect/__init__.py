"""Collects rollouts: plays the policy in the arenas and stores the transitions, in one process or in several."""

from rlbot.collect.collector import Collector, Shared
from rlbot.collect.env_shard import EnvInfo, Matchup

__all__ = ["Collector", "EnvInfo", "Matchup", "Shared"]
