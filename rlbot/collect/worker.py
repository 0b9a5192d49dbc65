"""A worker: a process that plays a shard, and gets commands over a pipe."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from rlbot.collect.acting import Client, Exchange, Forward
from rlbot.collect.env_shard import EnvShard, Matchup
from rlbot.collect.rollout import Rollout, Shape
from rlbot.curriculum import Pool
from rlbot.env.batch import BatchEnv
from rlbot.processes.environment_variables import load_numba
from rlbot.processes.spawn import ChildDied, ChildProcess, Parent

_SILENCE = 60.0  # s without a step after which a worker counts as hung; a step takes milliseconds
_START_SILENCE = 300.0  # s that a start and a first step may take: the first time, Numba compiles


@dataclass(frozen=True)
class Memory:
    """The shared memory of a run's processes. It has no name, and is freed when the last process ends."""

    vector: Any  # the actor's weights, float32
    pool: Any  # of Pool(pool_size, actor size)
    pool_size: int
    rollouts: tuple[Any, ...]  # buffers of Rollout(*rollout_shape)
    rollout_shape: Shape
    beats: Any  # steps played by each worker, int64
    exchange: Exchange | None = None  # if the learner's process acts


@dataclass(frozen=True)
class Task:
    """What one worker plays: the arenas that `make_env` makes, and columns [start, stop) of every rollout."""

    index: int
    make_env: Callable[[], BatchEnv]
    matchup: Matchup
    start: int
    stop: int


class LocalWorker:
    """A shard and its columns of the rollouts, with the interface of a `Worker`. Runs in the calling process; each
    worker process has one as well."""

    def __init__(self, task: Task, memory: Memory, forward: Forward | None = None) -> None:
        """`forward`: see Policy."""
        vector = np.frombuffer(memory.vector, np.float32)
        pool = Pool(memory.pool_size, len(vector), memory.pool)
        self._shard = EnvShard(task.make_env, task.matchup, vector, pool, forward)
        self._rollouts = [
            Rollout(*memory.rollout_shape, memory=buffer).columns(task.start, task.stop) for buffer in memory.rollouts
        ]
        self._answer: Any = self._shard.env_info

    def execute(self, command: str, argument: Any, beat: Callable[[], None]) -> Any:
        """Executes a command and returns the answer. The commands and their arguments: collect (index of the rollout,
        odds of the opponents, weights of the reward), snapshot (whether to return the one before the last rollout),
        restore (a snapshot)."""
        if command == "collect":
            turn, odds, weights = argument
            rollout = self._rollouts[turn]
            rollout.clear()
            stats = self._shard.collect(rollout, odds, beat, weights)
            return stats, rollout.final_index, rollout.final_observations
        if command == "snapshot":
            return self._shard.snapshot(argument)
        assert command == "restore", command
        return self._shard.restore(*argument)

    def send(self, command: str, argument: Any = None) -> None:
        """Executes the command at once, in this process, with one BLAS thread as in a worker."""
        with threadpool_limits(1, "blas"):
            self._answer = self.execute(command, argument, lambda: None)

    def receive(self) -> Any:
        return self._answer

    def close(self) -> None:
        """Does nothing: there is no process to end."""


def _main(parent: Parent, task: Task, memory: Memory) -> None:
    beats = np.frombuffer(memory.beats, np.int64)

    def beat() -> None:
        beats[task.index] += 1

    load_numba()
    with threadpool_limits(1):  # other workers use the other cores
        forward = None if memory.exchange is None else Client(memory.exchange, task.index)
        worker = LocalWorker(task, memory, forward)
        if "torch" in sys.modules:  # imported by a network of the user's own
            sys.modules["torch"].set_num_threads(1)
        parent.send(worker.receive())
        for command, argument in parent.requests():
            parent.answer(partial(worker.execute, command, argument, beat))


class Worker:
    """The parent's end of a worker process."""

    def __init__(self, task: Task, memory: Memory) -> None:
        """Starts the process and returns at once; the first `receive` waits until it is ready."""
        self.index = task.index
        self._beats = np.frombuffer(memory.beats, np.int64)
        self._first = int(self._beats[self.index])  # steps of the workers that had its place before
        self._child = ChildProcess(_main, task, memory, name=f"worker {task.index}")
        self.process = self._child.process
        self._heard = -1, time.monotonic()  # the last number of beats, and when it was first seen

    def send(self, command: str, argument: Any = None) -> None:
        """Sends a command. Raises ChildDied if the process has ended."""
        self._heard = -1, time.monotonic()
        self._child.send((command, argument))

    def receive(self) -> Any:
        """Returns the answer to the last command. Raises ChildDied if the worker ended or hangs, and raises again what
        the worker raised."""
        while not self._child.wait(1.0):
            self._require_beats()
        return self._child.receive()

    def check(self) -> None:
        """Raises what `receive` would raise now; otherwise returns at once."""
        if self._child.wait(0.0):
            self._child.receive()
        self._require_beats()

    def _require_beats(self) -> None:
        limit = _START_SILENCE if self._beats[self.index] == self._first else _SILENCE
        if self._beats[self.index] != self._heard[0]:
            self._heard = int(self._beats[self.index]), time.monotonic()
        if time.monotonic() - self._heard[1] > limit:
            self.close()
            raise ChildDied(f"worker {self.index} took no step for {limit:.0f} s and was ended")

    def close(self) -> None:
        """Kills the process, whatever it is doing. Nothing is lost, because it holds no state that must be saved."""
        self._child.close()
