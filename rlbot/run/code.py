"""The copies of the user's own files in a run directory, which its training used."""

import re
from collections.abc import Mapping
from pathlib import Path

from rlbot.run.files import from_json

INDEX = "files.json"  # in a folder of copies: the copy of each file, by the file's original path
_STEP = re.compile(r"step_(\d+)(?:-(\d+))?")


def newest_copies(code: Path, timesteps: int) -> Mapping[str, Path]:
    """Returns the newest complete copies that were made at `timesteps` or before, by the files' original paths."""
    matches = [(match, folder) for folder in code.glob("step_*") if (match := _STEP.fullmatch(folder.name))]
    known = [((int(match[1]), int(match[2] or 1)), folder) for match, folder in matches if int(match[1]) <= timesteps]
    for _, folder in sorted(known, reverse=True):
        try:
            index = from_json((folder / INDEX).read_bytes())
            copies = {str(place): folder / str(copy) for place, copy in index.items()}
        except (OSError, ValueError, AttributeError):  # incomplete: the process was killed while it wrote
            continue
        if all(copy.is_file() for copy in copies.values()):
            return copies
    return {}
