"""Chooses the engine: RocketSim v2, which is always installed, or RocketSim v3, which is about three times as fast and
closer to the game, if its extension is built."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rlbot.sim.arenas import Arenas

ENGINES = ("rocketsim2", "rocketsim3")
FIRST_ENGINE = "rocketsim2 2.2.1"  # of files that do not name an engine: they are older than the second one
EXTENSION = "rlbot_native"  # built from native/


def built() -> tuple[str, ...]:
    """Returns the engines that are installed."""
    return ENGINES if find_spec(EXTENSION) else ENGINES[:1]


def choose(wanted: str = "auto") -> str:
    """Returns the wanted engine; for "auto" rocketsim3 if it is built, otherwise rocketsim2.

    Raises ValueError if the engine is unknown, or if rocketsim3 is wanted but not built."""
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
    """Returns the module of an engine. It is imported here, so that a process loads only the engine that it uses."""
    return import_module(f"rlbot.sim.{choose(engine)}")


def version(engine: str) -> str:
    """Returns the engine with its version, such as "rocketsim3 0.3.4"."""
    return f"{choose(engine)} {module(engine).VERSION}"


def describe(engine: str) -> str:
    """Returns `version` for the start of a run, with a hint if RocketSim v3 is not built."""
    missed = "" if built() == ENGINES else " (RocketSim v3, about three times as fast, is not built here: see README)"
    return version(engine) + missed


def make_arenas(
    team_sizes: Sequence[tuple[int, int]],
    tick_skip: int,
    action_delay: int = 0,
    engine: str = "auto",
    team_slots: int | None = None,
    orange_first: Sequence[bool] = (),
) -> Arenas:
    """Makes N arenas of an engine whose meshes are loaded (`load_meshes`); the arguments are those of `Arenas`."""
    arenas: Arenas = module(engine).Arenas(team_sizes, tick_skip, action_delay, team_slots, orange_first)
    return arenas
