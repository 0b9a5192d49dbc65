"""Choose the versions of a run to evaluate, and play their matches."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlbot.learncheck.curves import Row
from rlbot.policy import load
from rlbot.rating.matches import Conditions, Pairing, common_engine, play
from rlbot.rating.statistics import summarise
from rlbot.run import valid_checkpoints
from rlbot.run.files import from_json
from rlbot.run.manifest import checkpoint_info, read_verified
from rlbot.settings.schema import LearncheckSettings

OPPONENTS: tuple[Literal["random", "idle"], ...] = ("random", "idle")


@dataclass(frozen=True)
class Version:
    """A checkpoint of a run with `seed`, after `seconds` of training; `point` is as in `choose`."""

    run: str
    seed: int
    point: int
    seconds: float
    path: Path


def find(run: str, path: str, interval: int, setting: str = "run") -> list[Version]:
    """The versions to evaluate of the run directory `path`; `run` is its name in the results. Raises ValueError, which
    names `setting`, if it has no valid checkpoint, or one that this version of the code cannot play."""
    folder = load(path, setting=setting).path.parent
    by_timesteps = {checkpoint_info(each).timesteps: each for each in valid_checkpoints(folder)[0]}
    versions = []
    for point, timesteps in choose(by_timesteps, interval).items():
        files = read_verified(by_timesteps[timesteps])[1]
        seed, seconds = from_json(files["config.json"])["seed"], from_json(files["progress.json"])["seconds"]
        versions.append(Version(run, seed, point, seconds, by_timesteps[timesteps]))
    return versions


def choose(timesteps: Iterable[int], interval: int) -> dict[int, int]:
    """{point: timesteps of its checkpoint}. Points are multiples of `interval`; the checkpoint of a point is the first
    one at or after it and before the next multiple. If the newest checkpoint is none of these, it gets its own
    point."""
    ordered = sorted(timesteps)
    points: dict[int, int] = {}
    for each in ordered:
        if each >= interval:
            points.setdefault(each // interval * interval, each)
    return points if ordered[-1] in points.values() else {**points, ordered[-1]: ordered[-1]}


def evaluate(
    version: Version, recipe: str, settings: LearncheckSettings, meshes: str | None, workers: int
) -> list[Row]:
    """Play the matches of a version; returns a row for every team size and opponent."""
    bot = load(version.path)
    engine = common_engine([("", bot)])
    rows = []
    for teams in settings.teams:
        sizes = int(teams[0]), int(teams[2])
        results = play(
            [bot, *OPPONENTS],
            [Pairing(0, i, settings.matches) for i in range(1, 1 + len(OPPONENTS))],
            Conditions(*sizes, settings.match_seconds, bot.tick_skip, bot.action_delay, engine=engine),
            meshes,
            workers,
        )
        minutes = settings.matches * settings.match_seconds / 60
        for opponent, result in zip(OPPONENTS, results, strict=True):
            found = summarise(result)
            win_low, win_high = found["win_rate_interval"]
            low, high = found["goal_difference_interval"]
            rows.append(
                Row(
                    recipe=recipe,
                    run=version.run,
                    seed=version.seed,
                    teams=teams,
                    opponent=opponent,
                    point=version.point,
                    timesteps=bot.timesteps,
                    seconds=version.seconds,
                    matches=found["matches"],
                    won=found["wins"],
                    drawn=found["draws"],
                    lost=found["losses"],
                    win_rate=found["win_rate"],
                    win_rate_low=win_low,
                    win_rate_high=win_high,
                    goal_difference=found["goal_difference"],
                    goal_difference_low=low,
                    goal_difference_high=high,
                    goals_for_per_minute=found["goals_for"] / minutes,
                    goals_against_per_minute=found["goals_against"] / minutes,
                    touches_per_minute=found["play"]["checkpoint"]["touches_per_minute"],
                )
            )
    return rows
