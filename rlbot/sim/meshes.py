"""Finds the collision meshes of the soccar arena, and loads them once in each process."""

from importlib.util import find_spec
from pathlib import Path

from rlbot.sim.engines import choose, module
from rlbot.sim.fetch import cache_folder, fetch, is_complete

_loaded_from: dict[str, Path] = {}  # by engine
_refused: dict[str, str] = {}  # RocketSim v2 hangs when it is initialised again after it refused meshes


def find_meshes(folder: str | Path | None = None) -> Path:
    """Returns the folder that RocketSim needs: the one that contains `soccar/*.cmf`.

    `folder`: the user's own, either the folder above `soccar` or `soccar` itself. None means the user's cache folder,
    where `obtain_meshes` puts the meshes, or else an installed package rlgym-rocket-league, which contains them. Raises
    ValueError if there are no meshes.
    """
    if folder is not None:
        root = Path(folder).expanduser().resolve()
        if root.name == "soccar" and any(root.glob("*.cmf")):
            root = root.parent
        if not any((root / "soccar").glob("*.cmf")):
            raise ValueError(
                f"env.collision_meshes={str(folder)!r}: no .cmf files in its subfolder soccar; dump them from your\n"
                "game with RLArenaCollisionDumper, or leave it null for those that `python -m rlbot.meshes` downloads"
            )
        return root
    found = _found()
    if found is None:
        raise ValueError(
            "env.collision_meshes=null: no collision meshes found; download them with `python -m rlbot.meshes`\n"
            "or set env.collision_meshes to a folder that holds soccar/*.cmf dumped from your game"
        )
    return found


def obtain_meshes(folder: str | Path | None = None) -> Path:
    """As `find_meshes`, but first downloads the meshes to the user's cache folder if `folder` is None and there are
    none.

    Commands call this before they start worker processes, which never download. Raises ValueError that says what to do.
    """
    if folder is None and _found() is None:
        print("[START] Downloading the arena's collision meshes (80 kB, once)", flush=True)
        fetch(cache_folder())
    return find_meshes(folder)


def _found() -> Path | None:
    if is_complete(cache_folder()):
        return cache_folder()
    package = find_spec("rlgym")
    for place in (package.submodule_search_locations or []) if package else []:
        root = Path(place) / "rocket_league" / "sim" / "collision_meshes"
        if any((root / "soccar").glob("*.cmf")):
            return root
    return None


def load_meshes(folder: str | Path | None = None, engine: str = "auto") -> Path:
    """Initialises an engine with the meshes of `find_meshes(folder)`. Later calls in the same process change nothing.

    Raises ValueError if there are no meshes, if they are broken, if the process has loaded another folder, or if the
    engine is not installed.
    """
    root, engine = find_meshes(folder), choose(engine)
    if engine in _refused:
        raise ValueError(_refused[engine])
    if engine not in _loaded_from:
        try:
            module(engine).load_meshes(root)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            _refused[engine] = f"env.collision_meshes={str(folder)!r}: RocketSim refuses the meshes in {root}: {reason}"
            raise ValueError(_refused[engine]) from error
        _loaded_from[engine] = root
    elif root != _loaded_from[engine]:
        raise ValueError(
            f"env.collision_meshes={str(folder)!r}: this process already uses the meshes in {_loaded_from[engine]};\n"
            "RocketSim loads meshes only once in a process, so start a new one to change them"
        )
    return root
