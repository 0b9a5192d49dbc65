"""Playing the policy in the arenas and storing what happened: in this process or in several."""

from rlbot.collect.collector import Collector, Shared
from rlbot.collect.env_shard import EnvInfo, Matchup

__all__ = ["Collector", "EnvInfo", "Matchup", "Shared"]
