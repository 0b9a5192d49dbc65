"""Playing the policy in the arenas and storing what happened: in this process or in several."""

from rlbot.collect.collector import Collector, Shared
from rlbot.collect.section import About, Cast

__all__ = ["About", "Cast", "Collector", "Shared"]
