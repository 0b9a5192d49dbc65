"""The batch of a stage, played in this process or in worker processes that fill one rollout together."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from multiprocessing.sharedctypes import RawArray
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlbot.collect.env_shard import EnvInfo, Matchup, RolloutStats
from rlbot.collect.rollout import Rollout, Shape
from rlbot.collect.worker import LocalWorker, Memory, Task, Worker
from rlbot.curriculum import Odds, Pool
from rlbot.env.batch import BatchEnv
from rlbot.env.counts import COUNTS
from rlbot.env.nonfinite import NonFiniteCounts
from rlbot.env.observation import OBSERVATION_SIZE
from rlbot.processes.spawn import ChildDied

if TYPE_CHECKING:
    from rlbot.hardware import Group  # imports PyTorch, which the workers do without

MakeEnv = Callable[[int, int], BatchEnv]  # the arenas [start, stop) of a stage; it is sent to the workers
_PLAN = "plan_"  # begins the names of a plan's arrays in a snapshot
_MAX_DEATHS = 3  # of one worker within one rollout; a fault that repeats itself is not to be outlived


@dataclasses.dataclass(frozen=True)
class Shared:
    """Raw shared memory (multiprocessing.sharedctypes) that outlives a stage."""

    vector: Any  # the actor's weights, float32: written by the learner between rollouts
    pool: Any  # of Pool(pool_size, actor size)
    pool_size: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a rollout is played with: the actor's weights, and the odds of past versions."""

    weights: NDArray[np.float32]
    odds: Odds

    def state(self) -> dict[str, NDArray[Any]]:
        """What `of` reads, to stand among a snapshot's arrays."""
        versions, chances = self.odds
        return {f"{_PLAN}weights": self.weights, f"{_PLAN}versions": versions, f"{_PLAN}chances": chances}

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> "Plan | None":
        """The plan that stands in a snapshot; None if none does."""
        if f"{_PLAN}weights" not in arrays:
            return None
        weights, versions, chances = (
            np.asarray(arrays[f"{_PLAN}{name}"]) for name in ("weights", "versions", "chances")
        )
        return cls(weights, (versions, chances))


class Collector:
    """Collects rollouts of at least `batch_size` timesteps with the weights that stand in `shared.vector`.

    The processes of `group` have a section of the arenas each, in order of their ranks; metrics, snapshots and numbers
    (`num_arenas`, ...) are of all of them. What is collected depends neither on the number of workers nor of processes.
    """

    def __init__(
        self,
        make_env: MakeEnv,
        team_sizes: Sequence[tuple[int, int]],
        matchup: Matchup,
        batch_size: int,
        shared: Shared,
        group: "Group",
        workers: int,
        meshes: str,
        overlap: bool,
        warn: Callable[[str], None],
    ) -> None:
        """team_sizes: (blue, orange) of every arena of the stage. workers: processes that this one starts, 0 for none.
        `warn` gets a line for every worker that died and was replaced."""
        cars = [[*range(blue), *range(2, 2 + orange)] for blue, orange in team_sizes]
        agents = [sum(matchup.learns(n, slot) for slot in each) for n, each in enumerate(cars)]
        self._group = group
        first, last = (len(team_sizes) * rank // group.size for rank in (group.rank, group.rank + 1))
        parts = max(min(workers, last - first), 1)
        self._bounds = [first + (last - first) * i // parts for i in range(parts + 1)]  # of the workers, in arenas
        self._cars_before = np.cumsum([0, *(len(each) for each in cars)])
        self.num_arenas, self.num_cars, self.num_agents = len(cars), int(self._cars_before[-1]), sum(agents)
        agents_before = np.cumsum([0, *agents])
        columns = agents_before - agents_before[first]  # of this process's rollout
        shape = Shape(
            -(-batch_size // self.num_agents), int(columns[last]), OBSERVATION_SIZE,
            matchup.network.action_shape, matchup.network.action_dtype,
        )  # fmt: skip
        buffers = tuple(RawArray("b", Rollout.num_bytes(shape)) for _ in range(2 if overlap else 1))
        self._rollouts = [Rollout(*shape, memory=buffer) for buffer in buffers]
        self._turn = 0  # which of the rollouts is collected next, or being collected
        self._begun = False
        self._plan: Plan | None = None  # what that one is played with, where this is settled
        self.faults: NonFiniteCounts = {}  # what was not finite in the rollout that was collected last
        self._answers: list[Any] | None = None  # to the rollout that was begun, where they are here already
        self._memory = Memory(shared.vector, shared.pool, shared.pool_size, buffers, shape, RawArray("q", parts))
        self._tasks = [
            Task(i, partial(make_env, a, b), meshes, matchup, int(columns[a]), int(columns[b]))
            for i, (a, b) in enumerate(zip(self._bounds, self._bounds[1:], strict=False))
        ]
        self._warn = warn
        self._pool = Pool(shared.pool_size, matchup.network.size(), shared.pool)
        start = Worker if workers > 0 else LocalWorker
        self._vector = np.frombuffer(shared.vector, np.float32)
        self._team_sizes, self._draw = np.array(team_sizes), matchup.draw
        # They start side by side: none is waited for before all were started.
        self._workers: list[Worker | LocalWorker] = [start(task, self._memory) for task in self._tasks]
        try:
            self.env_info: EnvInfo = next(iter([worker.receive(starting=True) for worker in self._workers]))
        except ChildDied as death:
            self.close()
            raise RuntimeError(f"{death} before it played; fewer env.workers take less memory") from death
        except BaseException:
            self.close()
            raise

    def plan(self) -> None:
        """Settle what the next rollout is played with, the weights and the opponents as they are now, without playing
        it: a snapshot says so, and who restores it plays that rollout."""
        self._plan = Plan(self._vector.copy(), self._pool.odds(self._draw))

    def begin(self) -> None:
        """Let the workers play the next rollout, with the weights as they are, while this process does other things."""
        assert not self._begun
        self.plan()
        self._play()

    def _play(self) -> None:
        assert self._plan is not None
        self._rollouts[self._turn].clear()
        self._send("collect", [(self._turn, self._plan.odds)] * len(self._workers))
        self._begun = True

    def wait(self) -> None:
        """Until the rollout that was begun, if any, is played: the weights may be written then."""
        if self._begun and self._answers is None:
            self._answers = self._receive()

    def collect(self) -> tuple[Rollout, dict[str, float]]:
        """The rollout that was begun, or one that is played now: on from where the last one stopped. It is valid until
        as many more are collected as there is memory for."""
        if not self._begun:
            self.begin()
        self.wait()
        assert self._answers is not None
        answers, rollout = self._answers, self._rollouts[self._turn]
        self._plan, self._begun, self._answers = None, False, None
        self._turn = (self._turn + 1) % len(self._rollouts)
        for task, (_, index, observations) in zip(self._tasks, answers, strict=True):
            rollout.add_final(index + np.array([0, task.start]), observations)
        rollout.step, rollout.finished = rollout.num_steps, True
        parts = self._group.gather([stats for stats, *_ in answers])
        stats = RolloutStats.joined([part for each in parts for part in each])
        self.faults = stats.faults
        self._pool.record(stats.against[:, 2:])
        self._pool.hold(stats.playing)
        return rollout, self._metrics(stats)

    def _send(self, command: str, arguments: Sequence[Any]) -> None:
        """Tell every worker its own; one that died is replaced when its answer is asked for."""
        self._sent = [(command, argument) for argument in arguments]
        for worker, sent in zip(self._workers, self._sent, strict=True):
            with suppress(ChildDied):
                worker.send(*sent)

    def _receive(self) -> list[Any]:
        """The answers of all workers to what they were sent."""
        return [self._answer(i) for i in range(len(self._workers))]

    def _answer(self, i: int) -> Any:
        for _ in range(_MAX_DEATHS):
            try:
                return self._workers[i].receive()
            except ChildDied as death:
                self._warn(f"{death}; a new one takes over its arenas")
                self._replace(i)
        raise RuntimeError(f"worker {i} died {_MAX_DEATHS} times in a row; env.workers=0 shows where it fails")

    def _replace(self, i: int) -> None:
        """A new worker for the arenas of one that died: their episodes begin anew, everything else goes on. It may die
        at its start, too: its answer tells."""
        self._workers[i].close()
        task = self._tasks[i]
        matchup = dataclasses.replace(task.matchup, seed=task.matchup.seed + 1)  # not the same episodes once more
        self._tasks[i] = dataclasses.replace(task, matchup=matchup)
        self._workers[i] = Worker(self._tasks[i], self._memory)
        with suppress(ChildDied):
            self._workers[i].receive(starting=True)
            self._workers[i].send(*self._sent[i])

    def _metrics(self, stats: RolloutStats) -> dict[str, float]:
        """Means over the learner's cars; a rate "per minute" is for one car and a minute of play."""
        env_info, steps = self.env_info, stats.num_steps * len(stats.rewards)
        minutes = steps * env_info.seconds_per_step / 60
        metrics = {"reward/step": float(stats.rewards.sum()) / steps, "episode/count": float(len(stats.episodes))}
        metrics["env/bad_arenas"] = float(sum(found.count for found in stats.faults.values()))
        if len(stats.episodes):
            returns, lengths = stats.episodes[:, 2:].mean(0).tolist()
            metrics |= {"reward/episode": returns, "episode/seconds": lengths * env_info.seconds_per_step}
        counts = dict(zip(COUNTS, stats.counts.sum(0).tolist(), strict=True))
        metrics["play/speed"] = counts.pop("speed") / steps
        metrics["play/air_share"] = counts.pop("air") / steps
        del counts["steps"]
        metrics |= {f"play/{name}_per_minute": count / minutes for name, count in counts.items()}
        if len(stats.against):
            metrics["opponents/score_against_past"] = float(stats.against[:, 3].mean())
        earned, paid = (each.sum(0).tolist() for each in (stats.earned, stats.paid))
        for k, (name, transformed) in enumerate(env_info.terms):
            metrics[f"reward_term/{name}"] = earned[k] / steps
            if transformed:
                metrics[f"reward_term_transformed/{name}"] = paid[k] / steps
        return metrics

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """All that decides what is collected next, as (arrays, JSON-able), for any number of workers and processes.

        A rollout that was begun and not yet collected is played again by who restores it: the snapshot is of where it
        began, and holds the `Plan` that it is played by.
        """
        self.wait()
        self._send("snapshot", [self._begun] * len(self._workers))
        parts = [part for each in self._group.gather(self._receive()) for part in each]
        arrays = {name: np.concatenate([each[name] for each, _ in parts]) for name in parts[0][0]}
        document = dict(parts[0][1])
        for name, value in document.items():
            values = [each[name] for _, each in parts]  # numbers are the same but of a worker that was replaced
            document[name] = [*chain(*values)] if isinstance(value, list) else max(values)
        return arrays | (self._plan.state() if self._plan is not None else {}), document

    def restore(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Continue from a `snapshot()`. Raises ValueError where it is of another batch of arenas."""
        plan = Plan.of(arrays)
        arrays = {name: np.asarray(each) for name, each in arrays.items() if not name.startswith(_PLAN)}
        self._check_teams(arrays.get("team_sizes"))
        self._send("restore", list(self._cut(arrays, document)))
        self._receive()
        if plan is not None and len(self._rollouts) > 1:  # else it is played with the weights as they are then
            self._vector[:], self._plan = plan.weights, plan
            self._play()

    def _check_teams(self, saved: NDArray[np.int64] | None) -> None:
        """Raises ValueError where the arenas of a snapshot have other teams than these."""
        if saved is None:
            raise ValueError("they were saved by a version that did not write down the teams of each arena")
        if len(saved) != self.num_arenas:
            raise ValueError(f"they are of {len(saved)} arenas, not {self.num_arenas}")
        if len(other := np.flatnonzero((saved != self._team_sizes).any(1))):
            (blue, orange), (ours, theirs) = saved[other[0]], self._team_sizes[other[0]]
            raise ValueError(f"arena {other[0]} was {blue}v{orange} and is {ours}v{theirs} now")

    def _cut(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
        for a, b in zip(self._bounds, self._bounds[1:], strict=False):
            car_a, car_b = self._cars_before[a], self._cars_before[b]
            part = {name: each[car_a:car_b] if name.startswith("car_") else each[a:b] for name, each in arrays.items()}
            yield part, {key: each[a:b] if isinstance(each, list) else each for key, each in document.items()}

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()
