"""Which engine plays: RocketSim v2, a wheel that is always there, or RocketSim v3, about three times as fast and closer
to the game, where its extension is built."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rlbot.sim.arenas import Arenas

ENGINES = ("rocketsim2", "rocketsim3")
FIRST_ENGINE = "rocketsim2 2.2.1"  # what played where a file does not say so: it is from before there were two
EXTENSION = "rlbot_native"  # built from native/


def built() -> tuple[str, ...]:
    """The engines that can play here."""
    return ENGINES if find_spec(EXTENSION) else ENGINES[:1]


def choose(wanted: str = "auto") -> str:
    """The engine that plays: the wanted one, or for "auto" rocketsim3 where it is built and rocketsim2 elsewhere.

    Raises ValueError for an unknown one, and for rocketsim3 where it is not built."""
    if wanted == "auto":
        return built()[-1]
    if wanted not in ENGINES:
        raise ValueError(f"env.engine={wanted!r}: choose one of auto, {', '.join(ENGINES)}")
    if wanted not in built():
        raise ValueError(
            "env.engine='rocketsim3': it is not built here; install Rust (https://rustup.rs) and run `make`, or\n"
            "`python -m pip install ./native`; env.engine=auto plays on RocketSim v2 where it is not built"
        )
    return wanted


def module(engine: str) -> Any:
    """The module of an engine, imported now: a process loads the engine that it plays on."""
    return import_module(f"rlbot.sim.{choose(engine)}")


def version(engine: str) -> str:
    """The engine with the version of its physics, such as "rocketsim3 0.3.4"."""
    return f"{choose(engine)} {module(engine).VERSION}"


def describe(engine: str) -> str:
    """The same in words for the start of a run, with what is missed where RocketSim v3 is not built."""
    missed = "" if built() == ENGINES else " (RocketSim v3, about three times as fast, is not built here: see README)"
    return version(engine) + missed


def make_arenas(
    team_sizes: Sequence[tuple[int, int]], tick_skip: int, action_delay: int = 0, engine: str = "auto"
) -> Arenas:
    """N arenas of an engine whose meshes are loaded (`load_meshes`); the arguments are those of `Arenas`."""
    arenas: Arenas = module(engine).Arenas(team_sizes, tick_skip, action_delay)
    return arenas
