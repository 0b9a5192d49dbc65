"""Results of the matches: a row for every version, opponent and team size; medians over seeds; CSV and table."""

import csv
import io
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from rlbot.run.files import write_atomic


@dataclass(frozen=True)
class Row:
    """One version against one opponent. Intervals are 95%. Goals are per minute and team, touches per minute and car;
    the goal difference is per match."""

    recipe: str
    run: str
    seed: int
    teams: str
    opponent: str
    point: int  # multiple of the interval at which the version is evaluated
    timesteps: int
    seconds: float  # of training
    matches: int
    won: int
    drawn: int
    lost: int
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    goal_difference: float
    goal_difference_low: float
    goal_difference_high: float
    goals_for_per_minute: float
    goals_against_per_minute: float
    touches_per_minute: float


class Median(NamedTuple):
    """The median of each number over the `runs` that have a version at `point`."""

    point: int
    runs: int
    timesteps: float
    seconds: float
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    goal_difference: float
    goal_difference_low: float
    goal_difference_high: float
    goals_for_per_minute: float
    goals_against_per_minute: float
    touches_per_minute: float


def medians(rows: Sequence[Row]) -> list[Median]:
    """A median for every point, in order. `rows` are of one recipe, team size and opponent."""
    found = []
    for point in sorted({row.point for row in rows}):
        here = [row for row in rows if row.point == point]
        middle = [statistics.median(getattr(row, name) for row in here) for name in Median._fields[2:]]
        found.append(Median(point, len(here), *middle))
    return found


def curves(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """The rows grouped by (recipe, team size, opponent), in their order."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.recipe, row.teams, row.opponent), []).append(row)
    return found


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The medians of every curve as lines of ASCII."""
    for (recipe, teams, opponent), mine in curves(rows).items():
        yield f"{recipe}, {teams} against {opponent}; medians, goals and touches a minute, intervals of 95%"
        yield (
            f"  {'timesteps':>10} {'minutes':>7} {'seeds':>5} {'touches':>7} {'for':>6} {'against':>7}  "
            f"{'goals a match':23}  won"
        )
        for at in medians(mine):
            yield (
                f"  {at.timesteps:>10.0f} {at.seconds / 60:>7.1f} {at.runs:>5} {at.touches_per_minute:>7.2f} "
                f"{at.goals_for_per_minute:>6.2f} {at.goals_against_per_minute:>7.2f}  {_goals(at):23}  {_won(at)}"
            )


def describe(row: Row) -> str:
    """A line of text about one version against one opponent."""
    return (
        f"{row.run} (seed {row.seed}) at {row.timesteps}, {row.teams} against {row.opponent}: "
        f"touches a minute {row.touches_per_minute:.2f}, goals a match {_goals(row)}, won {_won(row)}"
    )


def _goals(at: Row | Median) -> str:
    return f"{at.goal_difference:+.2f} ({at.goal_difference_low:+.2f} to {at.goal_difference_high:+.2f})"


def _won(at: Row | Median) -> str:
    return f"{at.win_rate:.0%} ({at.win_rate_low:.0%} to {at.win_rate_high:.0%})"


def write(rows: Sequence[Row], path: Path) -> None:
    """Write a CSV with a column for every field. Raises OSError if it cannot be written."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [each.name for each in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomic(path, text.getvalue().encode("utf-8"))


def read(paths: Sequence[Path]) -> list[Row]:
    """Read files that `write` wrote. If recipes in several files have the same name, the folder is added to the name.
    Raises ValueError, which names the file, if a file was not written by `write` or has no row."""
    files = {path: _rows(path) for path in paths}
    names = [name for rows in files.values() for name in {row.recipe for row in rows}]
    return [
        Row(**{**asdict(row), "recipe": f"{row.recipe} ({path.parent.as_posix()})"})
        if names.count(row.recipe) > 1
        else row
        for path, rows in files.items()
        for row in rows
    ]


def _rows(path: Path) -> list[Row]:
    kinds: dict[str, Any] = {each.name: each.type for each in fields(Row)}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [Row(**{name: kinds[name](text) for name, text in line.items()}) for line in csv.DictReader(file)]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} was not written by this version of learncheck: {error}") from error
    if not rows:
        raise ValueError(f"{path} holds no row")
    return rows
