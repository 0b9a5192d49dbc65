"""RocketSim v2: the package `rocketsim`, which is always installed."""

from importlib.metadata import version
from pathlib import Path

import RocketSim

from rlbot.sim.rocketsim2.arenas import Arenas

__all__ = ["VERSION", "Arenas", "load_meshes"]

VERSION = version("rocketsim")


def load_meshes(root: Path) -> None:
    """Loads ROOT/soccar/*.cmf. Raises RuntimeError if they are broken. Call it only once in a process: after an error
    a second call hangs."""
    RocketSim.init(str(root))
    RocketSim.Arena(RocketSim.GameMode.SOCCAR)
