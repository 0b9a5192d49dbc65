"""A log file that keeps working after the disk was full, or its folder was deleted and made again."""

import os
from collections.abc import Sequence
from pathlib import Path


class LogFile:
    """Appends lines to `path` without buffering. If a kill cut the last line, a line feed is written first.

    Lines that cannot be written are lost; the next line tries again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def write(self, lines: Sequence[str]) -> str | None:
        """Writes the lines. Returns a warning at the first failure of a series, otherwise None."""
        try:
            with self._path.open("a+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(size - 1)
                cut = size > 0 and file.read(1) != b"\n"
                text = "\n" * cut + "".join(f"{line}\n" for line in lines)
                if file.write(text.encode("ascii")) != len(text):  # the disk is almost full
                    raise OSError("no room for a whole line")
        except OSError as error:
            known, self._failing = self._failing, True
            return None if known else f"{self._path.name} cannot be written: {error.strerror or error}"
        self._failing = False
        return None
