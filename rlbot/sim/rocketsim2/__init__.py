"""RocketSim v2: the package `rocketsim`, a wheel that is always there."""

from importlib.metadata import version
from pathlib import Path

import RocketSim

from rlbot.sim.rocketsim2.arenas import Arenas

__all__ = ["VERSION", "Arenas", "load_meshes"]

VERSION = version("rocketsim")


def load_meshes(root: Path) -> None:
    """Load ROOT/soccar/*.cmf, once a process: it hangs when it is initialised again after it refused meshes. Raises
    RuntimeError for broken ones."""
    RocketSim.init(str(root))
    RocketSim.Arena(RocketSim.GameMode.SOCCAR)
