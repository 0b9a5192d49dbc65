"""Writes the curves of a run into a CSV file: a row for each iteration, a column for each curve."""

import csv
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rlbot.run.files import write_atomic

STEP = "timesteps"
_MAX_PENDING = 10_000  # rows kept until the file can be written again


class CsvTracker:
    """Adds a row to `path` for every call of `log`; a rating has a row of its own. Empty cells: no value.

    The columns are those of the curves so far. If a new curve comes, as with another stage, the file is written anew
    with one column more at the end. resumed_at: rows beyond these timesteps, and a row that a kill has cut, are
    removed. warn: called with one line if the file cannot be written; the rows are kept, and the next one tries again.
    """

    def __init__(self, path: Path, resumed_at: int | None, warn: Callable[[str], None]) -> None:
        self._path, self._warn = path, warn
        self._columns = [STEP]
        self._pending: list[dict[str, str]] = []
        self._failing = False
        if resumed_at is not None and path.exists():
            self._restore(resumed_at)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds a row. Numbers are written so that they are read exactly."""
        self._pending.append({STEP: str(step)} | {name: repr(float(value)) for name, value in metrics.items()})
        del self._pending[:-_MAX_PENDING]
        try:
            self._flush()
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._warn(f"{self._path} cannot be written: {error.strerror or error}; its rows are kept until it can")
            self._failing = True

    def close(self) -> None:
        """Tries once more to write what could not be written."""
        if self._pending:
            with suppress(OSError):
                self._flush()

    def _flush(self) -> None:
        columns = list(dict.fromkeys([*self._columns, *(name for row in self._pending for name in row)]))
        if columns != self._columns or not self._path.exists():
            write_atomic(self._path, _text(columns, [*self._rows(), *self._pending], header=True))
        else:
            with self._path.open("ab", buffering=0) as file:
                file.write(_text(columns, self._pending))
        self._columns, self._pending = columns, []

    def _rows(self) -> list[dict[str, str]]:
        """Returns the rows in the file, without one that a kill or a full disk has cut."""
        if not self._path.exists():
            return []
        whole = self._path.read_bytes().rpartition(b"\n")[0].decode("utf-8")
        return [row for row in csv.DictReader(io.StringIO(whole, newline="")) if None not in row.values()]

    def _restore(self, resumed_at: int) -> None:
        rows = [row for row in self._rows() if (row.get(STEP) or "").isdigit() and int(row[STEP]) <= resumed_at]
        self._columns = list(rows[0]) if rows else [STEP]
        write_atomic(self._path, _text(self._columns, rows, header=True))


def _text(columns: list[str], rows: list[dict[str, str]], header: bool = False) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")
