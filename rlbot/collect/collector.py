"""The batch of a stage, played in this process or in worker processes that fill one rollout together."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.sharedctypes import RawArray
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlbot.collect.env_shard import EnvInfo, Matchup, RolloutStats
from rlbot.collect.rollout import Rollout, Shape
from rlbot.collect.worker import LocalWorker, Memory, Task, Worker, WorkerDied
from rlbot.curriculum import Pool
from rlbot.env.batch import BatchEnv
from rlbot.env.counts import COUNTS
from rlbot.env.nonfinite import NonFiniteCounts
from rlbot.env.observation import OBSERVATION_SIZE

if TYPE_CHECKING:
    from rlbot.hardware import Group  # imports PyTorch, which the workers do without

MakeEnv = Callable[[int, int], BatchEnv]  # the arenas [start, stop) of a stage; it is sent to the workers
_MAX_DEATHS = 3  # of one worker within one rollout; a fault that repeats itself is not to be outlived


@dataclasses.dataclass(frozen=True)
class Shared:
    """Raw shared memory (multiprocessing.sharedctypes) that outlives a stage."""

    vector: Any  # the actor's weights, float32: written by the learner between rollouts
    pool: Any  # of Pool(pool_size, actor size)
    pool_size: int


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
        self._workers: list[Worker | LocalWorker] = [start(task, self._memory) for task in self._tasks]
        try:
            self.env_info: EnvInfo = next(iter([worker.receive(starting=True) for worker in self._workers]))
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Let the workers play the next rollout, with the weights as they are, while this process does other things."""
        assert not self._begun
        self._rollouts[self._turn].clear()
        self._send("collect", self._turn)
        self._begun = True

    def wait(self) -> None:
        """Until the rollout that was begun, if any, is played: the weights may be written then."""
        if self._begun and self._answers is None:
            self._answers = self._receive("collect", self._turn)

    def collect(self) -> tuple[Rollout, dict[str, float]]:
        """The rollout that was begun, or one that is played now: on from where the last one stopped. It is valid until
        as many more are collected as there is memory for."""
        if not self._begun:
            self.begin()
        self.wait()
        assert self._answers is not None
        answers, rollout = self._answers, self._rollouts[self._turn]
        self._begun, self._answers, self._turn = False, None, (self._turn + 1) % len(self._rollouts)
        for task, (_, index, observations) in zip(self._tasks, answers, strict=True):
            rollout.add_final(index + np.array([0, task.start]), observations)
        rollout.step, rollout.finished = rollout.num_steps, True
        parts = self._group.gather([stats for stats, *_ in answers])
        stats = RolloutStats.joined([part for each in parts for part in each])
        self.faults = stats.faults
        self._pool.record(stats.against[:, 2:])
        return rollout, self._metrics(stats)

    def _send(self, command: str, argument: Any) -> None:
        """Tell all players; a worker that died is replaced, and told."""
        for i, worker in enumerate(self._workers):
            try:
                worker.send(command, argument)
            except WorkerDied as death:
                self._replace(i, command, argument, death)

    def _receive(self, command: str, argument: Any) -> list[Any]:
        """The answers of all players to the command they were sent."""
        return [self._answer(i, command, argument) for i in range(len(self._workers))]

    def _answer(self, i: int, command: str, argument: Any) -> Any:
        for _ in range(_MAX_DEATHS):
            try:
                return self._workers[i].receive()
            except WorkerDied as death:
                self._replace(i, command, argument, death)
        raise RuntimeError(f"worker {i} died {_MAX_DEATHS} times in a row; env.workers=0 shows where it fails")

    def _replace(self, i: int, command: str, argument: Any, death: WorkerDied) -> None:
        """A new worker for the arenas of one that died: their episodes begin anew, everything else goes on."""
        self._warn(f"{death}; a new one takes over its arenas")
        self._workers[i].close()
        task = self._tasks[i]
        matchup = dataclasses.replace(task.matchup, seed=task.matchup.seed + 1)  # not the same episodes once more
        self._tasks[i] = dataclasses.replace(task, matchup=matchup)
        self._workers[i] = Worker(self._tasks[i], self._memory)
        self._workers[i].receive(starting=True)
        self._workers[i].send(command, argument)

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
        """All that decides what is collected next, as (arrays, JSON-able), for any number of workers and processes."""
        self.wait()
        self._send("snapshot", None)
        parts = [part for each in self._group.gather(self._receive("snapshot", None)) for part in each]
        arrays = {name: np.concatenate([each[name] for each, _ in parts]) for name in parts[0][0]}
        generators = [rng for _, document in parts for rng in document["generators"]]
        return arrays, {**parts[0][1], "generators": generators}

    def restore(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Continue from a `snapshot()`. Raises ValueError where it is of another batch of arenas."""
        arenas, cars = len(document["generators"]), len(arrays["car_controls"])
        if (arenas, cars) != (self.num_arenas, self.num_cars):
            raise ValueError(f"they are of {arenas} arenas and {cars} cars, not {self.num_arenas} and {self.num_cars}")
        for worker, part in zip(self._workers, self._cut(arrays, document), strict=True):
            worker.send("restore", part)
        for worker in self._workers:
            worker.receive()

    def _cut(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
        for a, b in zip(self._bounds, self._bounds[1:], strict=False):
            car_a, car_b = self._cars_before[a], self._cars_before[b]
            part = {
                name: np.asarray(each)[car_a:car_b] if name.startswith("car_") else np.asarray(each)[a:b]
                for name, each in arrays.items()
            }
            yield part, {**document, "generators": document["generators"][a:b]}

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()
