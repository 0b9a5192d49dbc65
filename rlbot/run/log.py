"""A log file that outlives what happens to it: a full disk, a folder that is deleted and made again."""

import os
from collections.abc import Sequence
from pathlib import Path


class LogFile:
    """Appends lines to `path`, each of them at once; a line that was cut by a kill is ended first.

    What cannot be written is lost, and the next line tries again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def write(self, lines: Sequence[str]) -> str | None:
        """A warning where the disk refuses the lines, once until it takes some again; else None."""
        try:
            with self._path.open("a+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(size - 1)
                cut = size > 0 and file.read(1) != b"\n"
                text = "\n" * cut + "".join(f"{line}\n" for line in lines)
                if file.write(text.encode("ascii")) != len(text):  # the last bytes of a disk
                    raise OSError("no room for a whole line")
        except OSError as error:
            known, self._failing = self._failing, True
            return None if known else f"{self._path.name} cannot be written: {error.strerror or error}"
        self._failing = False
        return None
