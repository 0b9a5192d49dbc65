"""Rate a bot while it is trained: its versions play in a process beside the run, and the run never waits for it.

Every rated version plays against the anchors and some earlier versions, from kickoff. Beside random and idle there may
be anchors of the user's own, such as Nexto. Each team size has its own games and its own fit
(rlbot.rating.bradley_terry). Ratings decide which checkpoints are kept and never influence the training: a run with
ratings ends with the same bits as a run without.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from rlbot.bots import StateBot
from rlbot.curriculum import TEAM_SIZES, Stage
from rlbot.picture.heatmap import Traces
from rlbot.policy import Bot, load
from rlbot.processes.spawn import ChildDied, ChildProcess, Parent
from rlbot.rating.bradley_terry import ANCHORS, Games, fit
from rlbot.rating.matches import Conditions, Pairing, Player, Results, play
from rlbot.rating.pictures import Picture, draw_clip, draw_heatmap
from rlbot.recording.recording import from_bytes
from rlbot.run import valid_checkpoints
from rlbot.run.files import from_json, to_json, write_atomic
from rlbot.sim import FIRST_ENGINE, version

RATED = ("1v1", "2v2", "3v3")  # a rating needs even teams
_NICE = 10  # lower priority than the processes that train
_MAX_BOTS = 20  # versions held in memory as opponents
_PAUSE = 0.2  # s between two checks in `wait`
_Z = 1.959964  # of a 95% interval


class Rating(NamedTuple):
    """In points; `error` is the standard error."""

    points: float
    error: float

    def __str__(self) -> str:
        low, high = self.points - _Z * self.error, self.points + _Z * self.error
        return f"{self.points:+.0f} (95%: {low:+.0f} to {high:+.0f})"


class Rated(NamedTuple):
    """A version that has just been rated."""

    timesteps: int
    ratings: dict[str, Rating]  # by team size
    pictures: dict[str, Picture]  # "clip_1v1", "heatmap_1v1", ...
    against: dict[str, float]  # results against the user's own anchors: "NAME/score_1v1", "NAME/goals_1v1"


@dataclass(frozen=True)
class Anchor:
    """A player of the user's own that every version meets. It never changes: with a `rating` that is constant, without
    one its rating is fitted, one number for the whole run."""

    name: str  # not that of another player, and not a number
    player: Bot | StateBot
    rating: float | None = None


@dataclass(frozen=True)
class Plan:
    """How versions are rated."""

    teams: tuple[str, ...]  # of RATED
    matches: int  # of each pairing
    opponents: int  # earlier versions that a new one plays against, beside the anchors
    seconds: float  # of a match
    meshes: str | None = None
    record_interval: int | None = None  # timesteps between two versions whose matches are recorded; None: none
    record_matches: int = 1  # recorded matches of such a version, in each team size
    engine: str = "auto"
    anchors: tuple[Anchor, ...] = ()  # beside random and idle

    @property
    def fixed(self) -> dict[str, float]:
        """The constant ratings."""
        return {**ANCHORS, **{each.name: each.rating for each in self.anchors if each.rating is not None}}


@dataclass(frozen=True)
class Standings:
    """Games of one team size, and the ratings of the versions that are fitted to them, by timesteps."""

    games: list[Games] = field(default_factory=list)
    ratings: dict[int, Rating] = field(default_factory=dict)

    @classmethod
    def of(cls, games: Iterable[Games], fixed: Mapping[str, float] = ANCHORS) -> "Standings":
        games = list(games)
        ratings = fit(games, fixed)
        own = [name for name in ratings.names if name.isdigit()]
        return cls(games, {int(name): Rating(ratings[name], ratings.error(name)) for name in own})


def rated_teams(stages: Sequence[Stage]) -> tuple[str, ...]:
    """The team sizes of RATED that the stages train; 1v1 if they train none of them."""
    trained = {name for stage in stages for name, share in stage.teams.items() if share > 0}
    return tuple(name for name in RATED if name in trained) or RATED[:1]


@dataclass(frozen=True)
class _RatingRequest:
    """What the rating process has to do for one version."""

    bot: Bot
    opponents: list[Bot]
    games: dict[str, list[Games]]  # so far, by team size
    plan: Plan
    record: bool  # whether to keep recordings of its matches

    def play(self) -> "_Answer":
        players: dict[str, Player] = {str(self.bot.timesteps): self.bot, "random": "random", "idle": "idle"}
        players |= {str(each.timesteps): each for each in self.opponents}
        players |= {each.name: each.player for each in self.plan.anchors}
        names = list(players)
        # The match against the newest earlier version is shown; for the first version, the one against random.
        shown = 3 if self.opponents else 1
        recorded = min(self.plan.record_matches if self.record else 1, self.plan.matches)
        pairings = [Pairing(0, i, self.plan.matches, recorded if i == shown else 0) for i in range(1, len(names))]
        answer = _Answer({}, {}, {}, {})
        for team in self.plan.teams:
            conditions = Conditions(
                *TEAM_SIZES[team],
                self.plan.seconds,
                self.bot.tick_skip,
                self.bot.action_delay,
                seed=self.bot.timesteps,
                engine=self.plan.engine,
            )
            results = play(list(players.values()), pairings, conditions, self.plan.meshes, traces=True)
            outcomes = zip(names[1:], (result.outcomes for result in results), strict=True)
            new = [Games(names[0], other, *outcome) for other, outcome in outcomes]
            answer.standings[team] = Standings.of([*self.games.get(team, []), *new], self.plan.fixed)
            for name, result in zip(names[1:], results, strict=True):
                if name in {each.name for each in self.plan.anchors}:
                    wins, draws, _ = result.outcomes
                    answer.against[f"{name}/score_{team}"] = (wins + draws / 2) / len(result)
                    answer.against[f"{name}/goals_{team}"] = float((result.goals[:, 0] - result.goals[:, 1]).mean())
            self._show(team, results, shown, answer)
        return answer

    def _show(self, team: str, results: Sequence[Results], shown: int, answer: "_Answer") -> None:
        """Add pictures of the matches to the answer, and recordings if they are kept."""
        name = f"step_{self.bot.timesteps:09d}"
        traces = Traces.empty(self.plan.seconds)
        for result in results:
            assert result.traces is not None
            traces.add(result.traces)
        answer.pictures[f"heatmap_{team}"] = draw_heatmap(traces, name, f"{name}, {team}")
        files = list(results[shown - 1].recordings.values())
        answer.pictures[f"clip_{team}"] = draw_clip(from_bytes(files[0], name))
        if self.record:
            answer.recordings.update({f"{name}_{team}_{number}.npz": data for number, data in enumerate(files)})


class _Answer(NamedTuple):
    """What the rating process returns."""

    standings: dict[str, Standings]
    recordings: dict[str, bytes]  # contents of the files by their names
    pictures: dict[str, Picture]
    against: dict[str, float]  # as in Rated


class Rater:
    """The run's side: takes versions, returns ratings, keeps the games in `file` and recorded matches in the folder
    recordings/ beside it. Only `wait` blocks.

    If several versions come while one is being rated, only the newest of them is rated next. If the rating process
    dies, `warn` gets one line and there are no more ratings.
    """

    def __init__(self, plan: Plan, file: Path, warn: Callable[[str], None]) -> None:
        self._plan, self._file, self._warn = plan, file, warn
        self._recordings = file.with_name("recordings")
        self._standings = {team: Standings() for team in plan.teams}
        self._bots: dict[int, Bot] = {}  # possible opponents, by timesteps
        self._queued: Bot | None = None
        self._playing: Bot | None = None
        self._ready = False  # whether the process has started and receives jobs
        self._ended = False
        self._child: ChildProcess | None = None

    def scores(self) -> dict[int, float]:
        """{timesteps: mean rating over the team sizes}: the measure by which the best checkpoints are kept."""
        every = [self._standings[team].ratings for team in self._plan.teams]
        return {
            timesteps: sum(ratings[timesteps].points for ratings in every) / len(every)
            for timesteps in every[0]
            if all(timesteps in ratings for ratings in every)
        }

    def waiting(self) -> set[int]:
        """Timesteps of the versions that are not rated yet."""
        return {bot.timesteps for bot in (self._playing, self._queued) if bot is not None}

    def restore(self, timesteps: int, checkpoints: Path) -> None:
        """Continue with the games in the file, and with the versions in `checkpoints` as opponents, for a run that is
        resumed at `timesteps`. Games of later versions are dropped, since the run trains these timesteps again."""
        for team, games in self._read().items():
            names = [(each.first, each.second) for each in games]
            kept = [
                each
                for each, pair in zip(games, names, strict=True)
                if all(not name.isdigit() or int(name) <= timesteps for name in pair)
            ]
            self._standings[team] = Standings.of(kept, self._plan.fixed)
        known = self.scores()
        for path in valid_checkpoints(checkpoints)[0]:
            with contextlib.suppress(ValueError):  # this version of the code cannot play it
                bot = load(path)
                if bot.timesteps in known:
                    self._bots[bot.timesteps] = bot

    def submit(self, bot: Bot) -> None:
        """Rate a version as soon as the process is free."""
        if self._ended:
            return
        self._queued = bot
        if self._child is None:
            self._child = ChildProcess(_main, name="rating")
        self._send()

    def poll(self) -> list[Rated]:
        """The versions that were rated since the last call."""
        rated: list[Rated] = []
        while self._child is not None and not self._ended and self._child.wait(0.0):
            try:
                answer = self._child.receive()
            except ChildDied:
                self._stop(f"ended with exit code {self._child.process.exitcode}")
            except Exception as error:
                self._stop(f"failed: {type(error).__name__}: {error}")
            else:
                if self._playing is None:
                    self._ready = True
                else:
                    rated.append(self._take(answer))
                self._send()
        return rated

    def wait(self, seconds: float, stopping: Callable[[], bool]) -> list[Rated]:
        """Wait until everything is rated, `seconds` have passed or `stopping()`. Returns the newly rated versions."""
        until, rated = time.monotonic() + seconds, self.poll()
        while self.waiting() and not stopping() and time.monotonic() < until:
            assert self._child is not None
            self._child.wait(_PAUSE)
            rated += self.poll()
        return rated

    def close(self) -> None:
        """End the process at once. Versions that are not rated yet stay unrated."""
        self._ended, self._queued, self._playing = True, None, None
        if self._child is not None:
            self._child.close()

    def _send(self) -> None:
        """Send the next version, if the process is free."""
        if self._queued is None or self._playing is not None or not self._ready or self._child is None:
            return
        self._playing, self._queued = self._queued, None
        games = {team: standings.games for team, standings in self._standings.items()}
        record = self._is_recorded(self._playing.timesteps)
        request = _RatingRequest(self._playing, self._opponents(self._playing), games, self._plan, record)
        with contextlib.suppress(ChildDied):  # the next poll sees it
            self._child.send(request)

    def _opponents(self, bot: Bot) -> list[Bot]:
        """The newest earlier version, the best one, and others drawn from all earlier ones."""
        timing = bot.tick_skip, bot.action_delay  # a bot is only played with the timing it was trained with
        able = [
            each
            for timesteps, each in sorted(self._bots.items())
            if (each.tick_skip, each.action_delay) == timing and timesteps != bot.timesteps
        ]
        drawn = np.random.default_rng(bot.timesteps).permutation(len(able)).tolist()
        score = self.scores()
        best = sorted(able, key=lambda each: -score[each.timesteps])[:1]
        wanted = [*able[-1:], *best, *(able[i] for i in drawn)]
        return list({each.timesteps: each for each in wanted}.values())[: self._plan.opponents]

    def _is_recorded(self, timesteps: int) -> bool:
        """Whether the first version, or `record_interval` after the last recorded one."""
        if self._plan.record_interval is None:
            return False
        found = [re.match(r"step_(\d+)_", path.name) for path in self._recordings.glob("step_*.npz")]
        earlier = [int(match[1]) for match in found if match and int(match[1]) <= timesteps]
        return not earlier or timesteps - max(earlier) >= self._plan.record_interval

    def _keep(self, recordings: Mapping[str, bytes]) -> None:
        try:
            for name, data in recordings.items():
                self._recordings.mkdir(exist_ok=True)
                write_atomic(self._recordings / name, data)
        except OSError as error:
            self._warn(f"{self._recordings} cannot be written: {error.strerror or error}; these matches are not kept")

    def _take(self, answer: _Answer) -> Rated:
        """Store the answer of the rating process."""
        assert self._playing is not None
        bot, self._playing = self._playing, None
        self._standings |= answer.standings
        self._bots[bot.timesteps] = bot
        if len(self._bots) > _MAX_BOTS:
            del self._bots[self._dispensable()]
        self._write()
        self._keep(answer.recordings)
        ratings = {team: self._standings[team].ratings[bot.timesteps] for team in self._plan.teams}
        return Rated(bot.timesteps, ratings, answer.pictures, answer.against)

    def _dispensable(self) -> int:
        """The version to drop: the one whose neighbours are closest, so that the rest stays spread; never the best."""
        score = self.scores()
        best = max(self._bots, key=lambda timesteps: score[timesteps])
        steps = sorted(self._bots)
        gaps = {now: after - before for before, now, after in zip(steps, steps[1:], steps[2:], strict=False)}
        gaps.pop(best, None)
        return min(gaps, key=gaps.__getitem__)

    def _stop(self, how: str) -> None:
        self._warn(f"The rating process {how}; there are no more ratings until the run is resumed")
        self.close()

    def _read(self) -> dict[str, list[Games]]:
        """The games in the file by team size, none if there is no file. A file that cannot be read is renamed."""
        try:
            document = from_json(self._file.read_bytes())
            saved = document["games"]
            games = {team: [Games(*row) for row in saved.get(team, [])] for team in self._plan.teams}
            for each in games.values():
                Standings.of(each)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            aside = self._file.with_name("ratings.broken.json")
            with contextlib.suppress(OSError):
                self._file.replace(aside)
            self._warn(f"{self._file} cannot be read ({type(error).__name__}: {error}); ratings start from zero")
            return {}
        played, here = document.get("engine", FIRST_ENGINE), version(self._plan.engine)
        if played != here:
            aside = self._file.with_name(f"ratings.{played.replace(' ', '-')}.json")
            with contextlib.suppress(OSError):
                self._file.replace(aside)
            self._warn(f"The matches in {self._file} were played on {played}, not on {here}; the ratings start again")
            return {}
        return games

    def _write(self) -> None:
        games = {team: standings.games for team, standings in self._standings.items()}
        ratings = {
            team: {str(timesteps): rating._asdict() for timesteps, rating in sorted(standings.ratings.items())}
            for team, standings in self._standings.items()
        }
        try:  # ratings are written for readers only; a resume computes them from the games
            write_atomic(
                self._file, to_json({"engine": version(self._plan.engine), "ratings": ratings, "games": games})
            )
        except OSError as error:
            self._warn(f"{self._file} cannot be written: {error.strerror or error}; these games are kept in memory")


def _main(parent: Parent) -> None:
    """The rating process: play each job that is sent."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with threadpool_limits(1):
        parent.send(None)  # ready
        for request in parent.requests():
            parent.answer(request.play)
