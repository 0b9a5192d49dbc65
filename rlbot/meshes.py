"""`python -m rlbot.meshes`: downloads the arena's collision meshes into the user's cache folder, once.

`make` runs it, and the other commands do the same if there are none. `python -m rlbot.meshes FILE` takes them from an
archive that was downloaded elsewhere.
"""

import sys
from pathlib import Path

from rlbot.processes.text import printable
from rlbot.sim import obtain_meshes
from rlbot.sim.fetch import REQUIREMENT, cache_folder, fetch


def main(arguments: list[str]) -> None:
    """Leaves with exit status 1 and a line if there is no archive, or not the expected one."""
    try:
        if len(arguments) > 1 or any(text.startswith("-") for text in arguments):
            raise ValueError(f"{' '.join(arguments)}: only the file of {REQUIREMENT} may be named here")
        if arguments:
            fetch(cache_folder(), Path(arguments[0]))
        print(printable(f"[OK] Collision meshes: {obtain_meshes()}"))
    except ValueError as error:
        print(printable(f"[ERROR] {error}", keep="\n"), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
