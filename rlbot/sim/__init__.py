"""The physics: collision meshes, a batch of arenas, and their state as arrays, with either of two engines. No other
package imports RocketSim."""

from rlbot.sim.arenas import Arenas
from rlbot.sim.engines import ENGINES, FIRST_ENGINE, built, choose, describe, make_arenas, version
from rlbot.sim.meshes import find_meshes, load_meshes, obtain_meshes
from rlbot.sim.placement import CarPlacement, Placement
from rlbot.sim.state import BLUE, MAX_TEAM, ORANGE, PAD_COOLDOWN, PAD_POSITION, State, team_slots_for

__all__ = [
    "BLUE",
    "ENGINES",
    "FIRST_ENGINE",
    "MAX_TEAM",
    "ORANGE",
    "PAD_COOLDOWN",
    "PAD_POSITION",
    "Arenas",
    "CarPlacement",
    "Placement",
    "State",
    "built",
    "choose",
    "describe",
    "find_meshes",
    "load_meshes",
    "make_arenas",
    "obtain_meshes",
    "team_slots_for",
    "version",
]
