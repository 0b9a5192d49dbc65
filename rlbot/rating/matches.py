"""Matches between two players: kickoffs, a clock, goals; many at once, in several processes. No learning in here."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.env.counts import COUNTS
from rlbot.picture.heatmap import Traces
from rlbot.policy import Bot, random_rows
from rlbot.processes.spawn import ChildProcess, Parent, wait_any
from rlbot.rating.watching import MatchRecorder, Tracer
from rlbot.reward import Reward
from rlbot.sim import load_meshes

Player = Bot | Literal["random", "idle"]

CHUNK = 20  # matches played side by side; fixed, so that the number of processes changes nothing


@dataclass(frozen=True)
class Conditions:
    """How a match is played. It runs its full time; every goal is followed by a kickoff."""

    team_size: int  # cars of the first player
    opponent_team_size: int
    seconds: float
    tick_skip: int = 8
    action_delay: int = 0
    deterministic: bool = False  # the likeliest actions instead of drawn ones
    seed: int = 0


@dataclass(frozen=True)
class Pairing:
    """Two of a list of players, by index, and how many matches they play."""

    first: int
    second: int
    matches: int
    record: int = 0  # of them, spread evenly, are recorded


@dataclass(frozen=True)
class Results:
    """What happened in M matches: `counts` (M, 2, len(COUNTS)), summed over the cars of the first and of the second
    player, who have `cars` (2,). The first player is blue in the first half of the matches, orange in the second."""

    counts: NDArray[np.float64]
    cars: tuple[int, int]
    seconds_per_step: float
    recordings: dict[int, bytes] = field(default_factory=dict)  # the files, by the number of the match
    traces: Traces | None = None  # of all matches, if they were asked for

    def __len__(self) -> int:
        return len(self.counts)

    def count(self, name: str) -> NDArray[np.float64]:
        """(M, 2) of one of COUNTS."""
        column: NDArray[np.float64] = self.counts[:, :, COUNTS.index(name)]
        return column

    @property
    def goals(self) -> NDArray[np.int64]:
        """(M, 2) goals of the first and the second player."""
        per_car: NDArray[np.float64] = self.count("goals") / np.array(self.cars)  # each counts all of its team
        return np.rint(per_car).astype(np.int64)

    @property
    def first_is_blue(self) -> NDArray[np.bool_]:
        return _first_is_blue(len(self))

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """Wins, draws and losses of the first player."""
        ahead = np.sign(self.goals[:, 0] - self.goals[:, 1])
        return int((ahead > 0).sum()), int((ahead == 0).sum()), int((ahead < 0).sum())

    def distinct(self) -> int:
        """How many matches went differently: two deterministic players have few of them in them."""
        return len(np.unique(self.counts.reshape(len(self), -1), axis=0))


def player_name(player: Player) -> str:
    return player.path.name if isinstance(player, Bot) else player


def common_timing(players: Sequence[tuple[str, Player]]) -> tuple[int, int]:
    """(tick_skip, action_delay) of all bots among the named players; (8, 0) where there are none.

    Raises ValueError where they differ: nobody may be played at another pace than it was trained at."""
    bots = [(name, player) for name, player in players if isinstance(player, Bot)]
    for name, bot in bots[1:]:
        for key in ("tick_skip", "action_delay"):
            mine, theirs = getattr(bots[0][1], key), getattr(bot, key)
            if mine != theirs:
                raise ValueError(
                    f"{bots[0][0]} was trained at {key}={mine}, {name} at {key}={theirs}: they cannot meet in a match"
                )
    return (bots[0][1].tick_skip, bots[0][1].action_delay) if bots else (8, 0)


def play(
    players: Sequence[Player],
    pairings: Sequence[Pairing],
    conditions: Conditions,
    meshes: str | None = None,
    workers: int = 0,
    progress: Callable[[int], None] = lambda matches: None,
    traces: bool = False,
) -> list[Results]:
    """The results of every pairing. They are a function of the players, the conditions and the pairing, whatever the
    number of `workers` (processes; 0 plays in this one). `progress` is told the number of matches finished, often.
    `traces`: keep where ball and cars were, too."""
    tasks = [
        (i, start, min(start + CHUNK, pairing.matches))
        for i, pairing in enumerate(pairings)
        for start in range(0, pairing.matches, CHUNK)
    ]
    parts: dict[_Task, _Played] = {}
    with _executor(_Table(players, pairings, conditions, traces), meshes, min(workers, len(tasks))) as run:
        for task, played in run(tasks):
            parts[task] = played
            progress(sum(stop - start for _, start, stop in parts))
    cars = (conditions.team_size, conditions.opponent_team_size)
    seconds_per_step = Rules(conditions.tick_skip).seconds_per_step
    return [
        _together([parts[task] for task in tasks if task[0] == i], cars, seconds_per_step) for i in range(len(pairings))
    ]


_Task = tuple[int, int, int]  # index of the pairing, first match, the one after the last


@dataclass(frozen=True)
class _Played:
    """Of the matches of one task: as in Results."""

    counts: NDArray[np.float64]
    recordings: dict[int, bytes]
    traces: Traces | None


def _together(parts: Sequence[_Played], cars: tuple[int, int], seconds_per_step: float) -> Results:
    traces = parts[0].traces
    for part in parts[1:]:
        if traces is not None and part.traces is not None:
            traces.add(part.traces)
    recordings = {number: data for part in parts for number, data in part.recordings.items()}
    return Results(np.concatenate([part.counts for part in parts]), cars, seconds_per_step, recordings, traces)


@dataclass(frozen=True)
class _Table:
    """What every process knows: chunks of matches are then named by three numbers."""

    players: Sequence[Player]
    pairings: Sequence[Pairing]
    conditions: Conditions
    traces: bool = False

    def play(self, task: _Task) -> _Played:
        index, start, stop = task
        pairing = self.pairings[index]
        # Pairings with seeds of their own: else chance would play the same match against everybody.
        state = np.random.SeedSequence([self.conditions.seed, pairing.first, pairing.second]).generate_state(1)
        pair = self.players[pairing.first], self.players[pairing.second]
        return _play(pair, self.conditions, int(state[0]) >> 1, pairing, start, stop, self.traces)


def _play(
    pair: tuple[Player, Player],
    conditions: Conditions,
    seed: int,
    pairing: Pairing,
    start: int,
    stop: int,
    traced: bool,
) -> _Played:
    """The matches [start, stop) of a pairing."""
    matches = pairing.matches
    sizes = (conditions.team_size, conditions.opponent_team_size)
    first_is_blue = _first_is_blue(matches)[start:stop]
    rules = Rules(conditions.tick_skip, conditions.action_delay, time_limit=None, no_touch_limit=None)
    env = BatchEnv(
        [sizes if blue else sizes[::-1] for blue in first_is_blue],
        Reward([]),
        {"kickoff": 1.0},
        rules,
        first_arena=start,
    )
    number = (start + env.car_arena) * 4 + env.car_slot  # the same in whatever chunk a match is played
    is_first = (env.car_slot < 2) == first_is_blue[env.car_arena]
    sides = [np.flatnonzero(is_first), np.flatnonzero(~is_first)]
    actors = [
        actor(player, conditions.deterministic, seed, number[cars]) for player, cars in zip(pair, sides, strict=True)
    ]

    recorded = {i * matches // pairing.record for i in range(pairing.record)} if pairing.record else set()
    chosen = {number - start: number for number in recorded if start <= number < stop}
    recorder = MatchRecorder(env, pair, sides, chosen, {"match_seconds": conditions.seconds})
    tracer = Tracer(env, is_first, first_is_blue, conditions.seconds) if traced else None
    observations, _ = env.reset(seed=seed)
    controls = np.zeros((env.num_envs, 8), np.float32)
    for step in range(max(round(conditions.seconds / rules.seconds_per_step), 1)):
        for act, cars in zip(actors, sides, strict=True):
            controls[cars] = act(observations[cars], step)
        recorder.before_step(observations, controls)
        observations = env.step(controls)[0]
        recorder.after_step()
        if tracer is not None:
            tracer.after_step()
    counts = np.zeros((stop - start, 2, len(COUNTS)))
    np.add.at(counts, (env.car_arena, np.where(is_first, 0, 1)), env.counts)
    return _Played(counts, recorder.finish(), None if tracer is None else tracer.finish())


def actor(
    player: Player, deterministic: bool, seed: int, cars: NDArray[np.int64]
) -> Callable[[NDArray[np.float32], int], NDArray[np.float32]]:
    """(observations (K, 180), step) -> controls (K, 8) of the cars with these numbers."""
    if player == "idle":
        return lambda observations, step: np.zeros((len(cars), 8), np.float32)
    if player == "random":
        return lambda observations, step: ACTION_TABLE[random_rows(len(ACTION_TABLE), seed, step, cars)]
    assert isinstance(player, Bot)
    policy = player.policy
    if deterministic:
        return lambda observations, step: policy.mode(observations)
    return lambda observations, step: policy.sample(observations, seed, step, cars)[2]


def _first_is_blue(matches: int) -> NDArray[np.bool_]:
    return np.arange(matches) < (matches + 1) // 2


_Run = Callable[[Sequence[_Task]], Iterator[tuple[_Task, _Played]]]


@contextmanager
def _executor(table: _Table, meshes: str | None, workers: int) -> Iterator[_Run]:
    """Plays tasks in this process, or in others as they become free."""
    if workers <= 1:
        load_meshes(meshes)
        with threadpool_limits(1, "blas"):
            yield lambda tasks: ((task, table.play(task)) for task in tasks)
        return
    with ExitStack() as stack:
        children = []
        for i in range(workers):
            children.append(ChildProcess(_main, table, meshes, name=f"match process {i}"))
            stack.callback(children[-1].close)
        yield partial(_spread, children)


def _spread(children: Sequence[ChildProcess], tasks: Sequence[_Task]) -> Iterator[tuple[_Task, _Played]]:
    """Every task and what was played, in the order in which they are done."""
    rest, playing = iter(tasks), dict[ChildProcess, _Task]()

    def give(child: ChildProcess) -> None:
        if (task := next(rest, None)) is not None:
            child.send(task)
            playing[child] = task

    for child in children:
        give(child)
    while playing:
        for child in wait_any(playing):
            task, played = playing.pop(child), child.receive()
            give(child)
            yield task, played


def _main(parent: Parent, table: _Table, meshes: str | None) -> None:
    threadpool_limits(1)  # the other cores have processes of their own
    load_meshes(meshes)
    for task in parent.requests():
        parent.answer(partial(table.play, task))
