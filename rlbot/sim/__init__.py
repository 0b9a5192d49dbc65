"""RocketSim: collision meshes, a batch of arenas, and their state as arrays. The only room that imports RocketSim."""

from rlbot.sim.arenas import Arenas, CarPlacement, Placement
from rlbot.sim.meshes import find_meshes, load_meshes, obtain_meshes
from rlbot.sim.state import BLUE, MAX_CARS, ORANGE, PAD_COOLDOWN, PAD_POSITION, TEAM_OF_SLOT, State

__all__ = [
    "BLUE",
    "MAX_CARS",
    "ORANGE",
    "PAD_COOLDOWN",
    "PAD_POSITION",
    "TEAM_OF_SLOT",
    "Arenas",
    "CarPlacement",
    "Placement",
    "State",
    "find_meshes",
    "load_meshes",
    "obtain_meshes",
]
