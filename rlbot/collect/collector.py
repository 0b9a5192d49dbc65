"""Collects the rollouts of a stage, in this process or in workers that fill one rollout together."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain
from multiprocessing.sharedctypes import RawArray
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlbot.collect.acting import Actor, Exchange, Server, in_arenas, in_blocks
from rlbot.collect.env_shard import EnvInfo, Matchup, RolloutStats
from rlbot.collect.rollout import Rollout, Shape
from rlbot.collect.worker import LocalWorker, Memory, Task, Worker
from rlbot.curriculum import Odds, Pool
from rlbot.env.batch import BatchEnv
from rlbot.env.counts import COUNTS
from rlbot.env.nonfinite import NonFiniteCounts
from rlbot.processes.spawn import ChildDied
from rlbot.sim import FIRST_ENGINE

if TYPE_CHECKING:
    from rlbot.hardware import Group  # imports PyTorch, which the workers do not need

MakeEnv = Callable[[int, int], BatchEnv]  # returns the arenas [start, stop) of a stage; it is sent to the workers
_PLAN = "plan_"  # prefix of the names of a plan's arrays in a snapshot
_MAX_DEATHS = 3  # of one worker within one rollout; then the run fails, because the fault repeats itself


@dataclasses.dataclass(frozen=True)
class Shared:
    """Raw shared memory (multiprocessing.sharedctypes) that is kept from stage to stage."""

    vector: Any  # the actor's weights, float32: written by the learner between rollouts
    pool: Any  # of Pool(pool_size, actor size)
    pool_size: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a rollout is collected with: the actor's weights, the odds of past versions, and the weights of the reward
    that differ from the settings'."""

    weights: NDArray[np.float32]
    odds: Odds
    reward: Mapping[str, float]

    def state(self) -> dict[str, NDArray[Any]]:
        """Returns the arrays that `of` reads, for a snapshot."""
        versions, chances = self.odds
        return {f"{_PLAN}weights": self.weights, f"{_PLAN}versions": versions, f"{_PLAN}chances": chances}

    @classmethod
    def of(cls, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> "Plan | None":
        """Returns the plan in a snapshot; None if there is none."""
        if f"{_PLAN}weights" not in arrays:
            return None
        weights, versions, chances = (
            np.asarray(arrays[f"{_PLAN}{name}"]) for name in ("weights", "versions", "chances")
        )
        return cls(weights, (versions, chances), document.get(f"{_PLAN}reward", {}))


class Collector:
    """Collects rollouts of at least `batch_size` timesteps with the weights in `shared.vector`.

    Each rank of `group` plays a section of the arenas, in order of the ranks. Metrics, snapshots and numbers
    (`num_arenas`, ...) are of all ranks. What is collected does not depend on the number of workers or ranks.
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
        overlap: bool,
        warn: Callable[[str], None],
        actor: Actor | None = None,
        sequence_length: int = 1,
        page_lock: Callable[[Any], Callable[[], None]] | None = None,
    ) -> None:
        """team_sizes: (blue, orange) of every arena of the stage. workers: number of worker processes to start; 0: play
        in this process. `warn` gets a line for every worker that died and was replaced. actor: acts for the workers, in
        a thread of this process; None: they act themselves. sequence_length: of which the steps of a rollout are a
        multiple. page_lock: locks the memory of the rollouts for the learner's device, see Hardware. Raises
        RuntimeError if a worker dies at its start."""
        agents = [
            sum(size * matchup.learns(n, team) for team, size in enumerate(sizes)) for n, sizes in enumerate(team_sizes)
        ]
        self._group = group
        first, last = (len(team_sizes) * rank // group.size for rank in (group.rank, group.rank + 1))
        parts = max(min(workers, last - first), 1)
        self._bounds = [first + (last - first) * i // parts for i in range(parts + 1)]  # worker i: arenas [i], [i+1)
        self._cars_before = np.cumsum([0, *(sum(sizes) for sizes in team_sizes)])
        self.num_arenas, self.num_cars, self.num_agents = len(team_sizes), int(self._cars_before[-1]), sum(agents)
        agents_before = np.cumsum([0, *agents])
        columns = agents_before - agents_before[first]  # in this process's rollout
        shape = Shape(
            -(-batch_size // (self.num_agents * sequence_length)) * sequence_length,
            int(columns[last]), matchup.network.input_size,
            matchup.network.action_shape, matchup.network.action_dtype, matchup.network.mask_size,
        )  # fmt: skip
        buffers = tuple(RawArray("b", Rollout.num_bytes(shape)) for _ in range(2 if overlap else 1))
        self._rollouts = [Rollout(*shape, memory=buffer) for buffer in buffers]
        self._unlock = [page_lock(buffer) for buffer in buffers] if page_lock else []
        self._turn = 0  # index of the rollout that is being collected, or will be next
        self._begun = False
        self._plan: Plan | None = None  # of that rollout, if it is decided already
        self.faults: NonFiniteCounts = {}  # what was not finite in the last collected rollout
        self._answers: list[Any] | None = None  # of the workers to the rollout that was begun, if received already
        self._tasks = [
            Task(i, partial(make_env, a, b), matchup, int(columns[a]), int(columns[b]))
            for i, (a, b) in enumerate(zip(self._bounds, self._bounds[1:], strict=False))
        ]
        self._actor, self._server, exchange = actor, None, None
        if actor is not None:
            sizes = matchup.network.input_size, matchup.network.output_size
            blocks = in_arenas(columns[first : last + 1].tolist(), actor.blocks)
            exchange = Exchange.make([(task.start, task.stop) for task in self._tasks], blocks, sizes)
            self._server = Server(exchange, actor) if workers > 0 else None
            self._rows = [stop - start for start, stop in blocks]
        self._thread = ThreadPoolExecutor(1, "acting")
        self._served: Future[None] | None = None
        self._memory = Memory(
            shared.vector, shared.pool, shared.pool_size, buffers, shape, RawArray("q", parts), exchange
        )
        self._warn = warn
        self._deaths: Counter[int] = Counter()  # of each worker, within one rollout
        self._pool = Pool(shared.pool_size, matchup.network.size(), shared.pool)
        self._vector = np.frombuffer(shared.vector, np.float32)
        self._team_sizes, self._draw = np.array(team_sizes), matchup.draw
        # All workers are started before the first is waited for, so that they start in parallel.
        self._workers: list[Worker | LocalWorker]
        if workers > 0:
            self._workers = [Worker(task, self._memory) for task in self._tasks]
        else:
            together = None if actor is None or exchange is None else in_blocks(actor, exchange.blocks)
            self._workers = [LocalWorker(task, self._memory, together) for task in self._tasks]
        try:
            self.env_info: EnvInfo = next(iter([worker.receive() for worker in self._workers]))
        except ChildDied as death:
            self.close()
            raise RuntimeError(f"{death} before it played; fewer env.workers take less memory") from death
        except BaseException:
            self.close()
            raise

    def plan(self, reward: Mapping[str, float] | None = None) -> None:
        """Fixes what the next rollout is collected with, the current weights and opponents, without collecting it. A
        snapshot holds this plan, and a collector that restores it collects that rollout. `reward`: weights of the
        reward that differ from the settings'; see `Reward.weigh`."""
        self._plan = Plan(self._vector.copy(), self._pool.odds(self._draw), dict(reward or {}))

    def begin(self, reward: Mapping[str, float] | None = None) -> None:
        """Starts collecting the next rollout with the current weights, and returns at once: the workers play it."""
        assert not self._begun
        self.plan(reward)
        self._play()

    def _play(self) -> None:
        assert self._plan is not None
        self._rollouts[self._turn].clear()
        self._deaths.clear()
        if self._actor is not None:
            self._actor.load(self._vector, self._rows)
        self._send("collect", [(self._turn, self._plan.odds, self._plan.reward)] * len(self._workers))
        if self._server is not None:
            self._served = self._thread.submit(self._server.serve, self._rollouts[0].num_steps, self._is_new)
        self._begun = True

    def wait(self) -> None:
        """Waits until the rollout that was begun, if any, is complete. Then the weights may be changed."""
        if self._begun and self._answers is None:
            if self._served is not None:
                self._served.result()
            self._answers = self._receive()

    def collect(self, reward: Mapping[str, float] | None = None) -> tuple[Rollout, dict[str, float]]:
        """Returns the rollout that was begun, or collects one now (`reward`: see `plan`), and its metrics. Episodes
        continue from the rollout before. With overlap a rollout's memory is reused by the second one after it,
        otherwise by the next one."""
        if not self._begun:
            self.begin(reward)
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
        """Sends every worker its own argument. A worker that has died is replaced in `_receive`."""
        self._sent = [(command, argument) for argument in arguments]
        for worker, sent in zip(self._workers, self._sent, strict=True):
            with suppress(ChildDied):
                worker.send(*sent)

    def _receive(self) -> list[Any]:
        """Returns the answers of all workers to the last command."""
        return [self._answer(i) for i in range(len(self._workers))]

    def _answer(self, i: int) -> Any:
        self._deaths.clear()
        while True:
            try:
                return self._workers[i].receive()
            except ChildDied as death:
                self._replace(i, death)
                if self._server is not None and self._sent[i][0] == "collect":
                    self._server.serve_alone(i, self._rollouts[0].num_steps, self._is_new)

    def _is_new(self, i: int) -> bool:
        """Whether a worker that asks nothing had died, and was replaced. Raises what it raised."""
        worker = self._workers[i]
        assert isinstance(worker, Worker)
        try:
            worker.check()
        except ChildDied as death:
            self._replace(i, death)
            return True
        return False

    def _replace(self, i: int, death: ChildDied) -> None:
        """Starts a new worker for the arenas of one that died. Their episodes start again. If the new worker dies
        at its start, `receive` raises ChildDied again. Raises RuntimeError if it dies again and again."""
        self._deaths[i] += 1
        self._warn(f"{death}; a new one takes over its arenas")
        if self._deaths[i] == _MAX_DEATHS:
            raise RuntimeError(
                f"worker {i} died {_MAX_DEATHS} times in a row; env.workers=0 shows where it fails"
            ) from death
        self._workers[i].close()
        if self._server is not None:
            self._server.forget(i)
        task = self._tasks[i]
        matchup = dataclasses.replace(task.matchup, seed=task.matchup.seed + 1)  # otherwise episodes would repeat
        self._tasks[i] = dataclasses.replace(task, matchup=matchup)
        self._workers[i] = worker = Worker(self._tasks[i], self._memory)
        with suppress(ChildDied):
            worker.receive()
            worker.send(*self._sent[i])

    def _metrics(self, stats: RolloutStats) -> dict[str, float]:
        """Returns means over the learner's cars; a rate "per minute" is per car and minute of play."""
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
        for k, (name, transformed) in enumerate(stats.terms):
            metrics[f"reward_term/{name}"] = earned[k] / steps
            if transformed:
                metrics[f"reward_term_transformed/{name}"] = paid[k] / steps
        return metrics

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Returns everything that decides what is collected next, as (arrays, JSON-able). It can be restored with any
        number of workers and ranks.

        If a rollout was begun and not yet collected, the snapshot is of the state before it and holds its `Plan`: a
        collector that restores it collects this rollout again.
        """
        self.wait()
        self._send("snapshot", [self._begun] * len(self._workers))
        parts = [part for each in self._group.gather(self._receive()) for part in each]
        arrays = {name: np.concatenate([each[name] for each, _ in parts]) for name in parts[0][0]}
        document = dict(parts[0][1])
        for name, value in document.items():
            values = [each[name] for _, each in parts]  # numbers are equal, unless a worker was replaced
            document[name] = [*chain(*values)] if isinstance(value, list) else max(values)
        if self._plan is None:
            return arrays, document
        return arrays | self._plan.state(), document | {f"{_PLAN}reward": dict(self._plan.reward)}

    def restore(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Continues from a `snapshot()`. Raises ValueError if it is of another engine or of other arenas (number or
        team sizes)."""
        played = document.get("engine", FIRST_ENGINE)
        if played != self.env_info.engine:
            raise ValueError(f"they were played on {played}, this run plays on {self.env_info.engine}")
        plan = Plan.of(arrays, document)
        arrays = {name: np.asarray(each) for name, each in arrays.items() if not name.startswith(_PLAN)}
        document = {name: each for name, each in document.items() if not name.startswith(_PLAN)}
        self._check_teams(arrays.get("team_sizes"))
        self._send("restore", list(self._cut(arrays, document)))
        self._receive()
        if plan is not None and len(self._rollouts) > 1:  # without overlap, it is collected with the current weights
            self._vector[:], self._plan = plan.weights, plan
            self._play()

    def _check_teams(self, saved: NDArray[np.int64] | None) -> None:
        """Raises ValueError if the arenas of a snapshot have other team sizes than these."""
        if saved is None:
            raise ValueError("they were saved by a version that did not save the team sizes of each arena")
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
        """Ends the workers."""
        if self._server is not None:
            self._server.stop()
        self._thread.shutdown()
        for worker in self._workers:
            worker.close()
        while self._unlock:
            self._unlock.pop()()
