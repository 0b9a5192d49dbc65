"""Play matches between two players, many at once in several processes. Nothing is learned here."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rlbot.bots import StateBot, asked, by_name
from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.env.counts import COUNTS
from rlbot.picture.heatmap import Traces
from rlbot.policy import Bot, load, random_rows
from rlbot.processes.spawn import ChildProcess, Parent, wait_any
from rlbot.rating.watching import MatchRecorder, Tracer
from rlbot.recording.decisions import Seen
from rlbot.reward import Reward
from rlbot.sim import BLUE, choose, load_meshes
from rlbot.values.player_names import weights_of
from rlbot.values.target import Target

Player = Bot | StateBot | Literal["random", "idle"]

CHUNK = 20  # matches in one batch; constant, so that the number of processes does not change results


@dataclass(frozen=True)
class Conditions:
    """How a match is played. It lasts its full time; a kickoff follows every goal."""

    team_size: int  # cars of the first player
    opponent_team_size: int
    seconds: float
    tick_skip: int = 8
    action_delay: int = 0
    deterministic: bool = False  # most likely actions instead of drawn ones
    seed: int = 0
    engine: str = "auto"


@dataclass(frozen=True)
class Pairing:
    """Two players, as indices into a list, and the number of matches between them."""

    first: int
    second: int
    matches: int
    record: int = 0  # how many of the matches to record, evenly spaced


@dataclass(frozen=True)
class Results:
    """What happened in M matches. `counts` (M, 2, len(COUNTS)) are sums over the cars of the first and the second
    player; `cars` is the number of cars of each. The first player is blue in the first half of the matches, orange in
    the second half."""

    counts: NDArray[np.float64]
    cars: tuple[int, int]
    seconds_per_step: float
    recordings: dict[int, bytes] = field(default_factory=dict)  # contents of the files, by number of the match
    traces: Traces | None = None  # of all matches, if requested

    def __len__(self) -> int:
        return len(self.counts)

    def count(self, name: str) -> NDArray[np.float64]:
        """The count `name`, one of COUNTS, as (M, 2)."""
        column: NDArray[np.float64] = self.counts[:, :, COUNTS.index(name)]
        return column

    @property
    def goals(self) -> NDArray[np.int64]:
        """Goals of the first and the second player, (M, 2)."""
        # Every car counts all goals of its team.
        per_car: NDArray[np.float64] = self.count("goals") / np.array(self.cars)
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
        """Number of different matches: deterministic players repeat the same few."""
        return len(np.unique(self.counts.reshape(len(self), -1), axis=0))


def player_name(player: Player) -> str:
    return player if isinstance(player, str) else player.name


def load_player(name: str, target: Target | None, setting: str) -> Player:
    """The player that the setting `setting` names: "random", "idle", nexto:PATH, necto:PATH, the path of a run or
    checkpoint, or, if there is a `target`, one of the user's own. Raises ValueError that names the setting."""
    if target is None and name in ("random", "idle"):
        return name  # type: ignore[return-value]  # one of the two
    return load_bot(name, target, setting)


def load_bot(name: str, target: Target | None, setting: str) -> Bot | StateBot:
    """As `load_player`, for players that are read from files."""
    if target is not None:
        return StateBot(name, target, setting).prepare()
    return load(name, setting=setting) if weights_of(name) is None else by_name(name, setting).prepare()


def common_timing(players: Sequence[tuple[str, Player]]) -> tuple[int, int]:
    """(tick_skip, action_delay) of all bots among the named players; (8, 0) if there are none.

    Raises ValueError if two bots differ, since a bot has to be played with the timing it was trained with."""
    bots = [(name, player) for name, player in players if isinstance(player, Bot)]
    for name, bot in bots[1:]:
        for key in ("tick_skip", "action_delay"):
            mine, theirs = getattr(bots[0][1], key), getattr(bot, key)
            if mine != theirs:
                raise ValueError(
                    f"{bots[0][0]} was trained with {key}={mine}, {name} with {key}={theirs}: "
                    "they cannot play each other"
                )
    return (bots[0][1].tick_skip, bots[0][1].action_delay) if bots else (8, 0)


def check_teams(players: Sequence[tuple[str, Player]], largest: int) -> None:
    """Raises ValueError, which names the player, if a bot sees too little to play in teams of up to `largest` cars."""
    for name, player in players:
        if isinstance(player, Bot) and player.observation.largest_team < largest:
            raise ValueError(
                f"{name}: was trained with env.observation={player.observation.name}, which is for teams of at most "
                f"{player.observation.largest_team} cars;\nhere is a team of {largest}, for which it takes a bot that "
                "was trained with env.observation=six_cars"
            )


def common_engine(players: Sequence[tuple[str, Player]], wanted: str = "auto") -> str:
    """The engine that a match of the named players is played on: the `wanted` one, or for "auto" the one on which the
    first bot was trained, if it is installed. Raises ValueError if the wanted one is not installed."""
    bots = [player for _, player in players if isinstance(player, Bot)]
    if wanted == "auto" and bots:
        with suppress(ValueError):  # not built here
            return choose(bots[0].engine.split()[0])
    return choose(wanted)


def play(
    players: Sequence[Player],
    pairings: Sequence[Pairing],
    conditions: Conditions,
    meshes: str | None = None,
    workers: int = 0,
    progress: Callable[[int], None] = lambda matches: None,
    traces: bool = False,
) -> list[Results]:
    """Play all pairings; returns the results of each. They depend only on the players, the conditions and the pairing,
    not on the number of `workers` (processes; 0: play in this process). `progress` is called with the number of
    finished matches. `traces`: also keep the positions of ball and cars."""
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


_Task = tuple[int, int, int]  # index of the pairing, first match, end (exclusive)


@dataclass(frozen=True)
class _Played:
    """Results of the matches of one task; fields as in Results."""

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
    """What every process gets once at its start, so that a task is only three numbers."""

    players: Sequence[Player]
    pairings: Sequence[Pairing]
    conditions: Conditions
    traces: bool = False

    def play(self, task: _Task) -> _Played:
        index, start, stop = task
        pairing = self.pairings[index]
        # Each pairing has its own seed; otherwise random play would act alike against every opponent.
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
    """Play the matches [start, stop) of a pairing."""
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
        engine=conditions.engine,
    )
    is_first = (env.car_team == BLUE) == first_is_blue[env.car_arena]
    sides = [np.flatnonzero(is_first), np.flatnonzero(~is_first)]
    actors = [
        actor(player, conditions.deterministic, seed, env, cars, env.car_number[cars])
        for player, cars in zip(pair, sides, strict=True)
    ]

    recorded = {i * matches // pairing.record for i in range(pairing.record)} if pairing.record else set()
    chosen = {number - start: number for number in recorded if start <= number < stop}
    recorder = MatchRecorder(env, pair, sides, chosen, {"match_seconds": conditions.seconds, "engine": env.engine})
    tracer = Tracer(env, is_first, first_is_blue, conditions.seconds) if traced else None
    observations, _ = env.reset(seed=seed)
    controls = np.zeros((env.num_envs, 8), np.float32)
    for step in range(max(round(conditions.seconds / rules.seconds_per_step), 1)):
        for act, cars in zip(actors, sides, strict=True):
            controls[cars] = act(observations[cars], step)
        recorder.before_step([seen_by(act) for act in actors], controls)
        observations = env.step(controls)[0]
        recorder.after_step()
        if tracer is not None:
            tracer.after_step()
    counts = np.zeros((stop - start, 2, len(COUNTS)))
    np.add.at(counts, (env.car_arena, np.where(is_first, 0, 1)), env.counts)
    return _Played(counts, recorder.finish(), None if tracer is None else tracer.finish())


def actor(
    player: Player, deterministic: bool, seed: int, env: BatchEnv, cars: NDArray[np.int64], numbers: NDArray[np.int64]
) -> Callable[[NDArray[np.float32], int], NDArray[np.float32]]:
    """Returns the player's function (observations (K, 180), step) -> controls (K, 8), for the rows `cars` (K,) of `env`
    with the `numbers` (K,). A StateBot looks at the state of `env` and not at the observations, and a Bot that was
    trained with another observation than that of `env` sees its own."""
    if isinstance(player, StateBot):
        player.reset()
        play = player.act
        return lambda observations, step: play(env.state, asked(env, cars, numbers, seed, step))
    if player == "idle":
        return lambda observations, step: np.zeros((len(cars), 8), np.float32)
    if player == "random":
        return lambda observations, step: ACTION_TABLE[random_rows(len(ACTION_TABLE), seed, step, numbers)]
    assert isinstance(player, Bot)
    return BotActor(player, deterministic, seed, env, cars, numbers)


class BotActor:
    """A Bot's function, as `actor` returns it. `seen`: what its network saw at the last call.

    What a recurrent network remembers begins with an episode, as in training. A call with the step of the call before
    decides anew, from what was remembered then."""

    def __init__(
        self,
        bot: Bot,
        deterministic: bool,
        seed: int,
        env: BatchEnv,
        cars: NDArray[np.int64],
        numbers: NDArray[np.int64],
    ) -> None:
        self.deterministic = deterministic
        self._bot, self._seed, self._env, self._cars, self._numbers = bot, seed, env, cars, numbers
        self._before = self._states = np.zeros((len(cars), bot.network.state_size), np.float32)
        self._step = -1

    def __call__(self, observations: NDArray[np.float32], step: int) -> NDArray[np.float32]:
        bot, env = self._bot, self._env
        if step != self._step:
            self._before, self._step = self._states, step
            self._before[env.steps[env.car_arena[self._cars]] == 0] = 0.0
        self._states = self._before.copy()
        inputs = bot.network.inputs(bot.view(env, self._cars, observations), self._before)
        masks = bot.policy.masks(env, self._cars)
        self.seen = Seen(inputs, masks)
        if self.deterministic:
            return bot.policy.mode(inputs, self._states, masks)
        return bot.policy.sample(inputs, self._seed, step, self._numbers, self._states, masks)[2]


def seen_by(act: object) -> Seen | None:
    """What the network of an `actor` saw at its last call; None if it has no network."""
    return act.seen if isinstance(act, BotActor) else None


def _first_is_blue(matches: int) -> NDArray[np.bool_]:
    return np.arange(matches) < (matches + 1) // 2


_Run = Callable[[Sequence[_Task]], Iterator[tuple[_Task, _Played]]]


@contextmanager
def _executor(table: _Table, meshes: str | None, workers: int) -> Iterator[_Run]:
    """Give a function that plays tasks, in this process or in `workers` processes."""
    if workers <= 1:
        load_meshes(meshes, table.conditions.engine)
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
    """Yield every task with its results, in the order in which the tasks are finished."""
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
    threadpool_limits(1)  # other processes use the other cores
    load_meshes(meshes, table.conditions.engine)
    for task in parent.requests():
        parent.answer(partial(table.play, task))
