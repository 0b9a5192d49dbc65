"""Acting in the learner's process: workers hand over observations and wait for logits.

For networks that are slow in a worker or faster on a GPU. The columns of a rollout are divided into blocks of arenas,
so that the workers step some blocks while the network computes another. What is computed together depends on the
blocks alone, and so do the bits of the result: not on the number of workers.
"""

import multiprocessing
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.sharedctypes import RawArray
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # inputs (M, input_size) -> outputs (M, output_size)
IsNew = Callable[[int], bool]  # see Server.serve
Columns = tuple[int, int]  # [start, stop) of a rollout


class Actor(Protocol):
    """A network in the learner's process: a `Forward`, with weights of its own (see rlbot.learner.device_actor).

    blocks: into how many blocks the columns are divided for it."""

    blocks: int

    def load(self, weights: NDArray[np.float32], rows: Collection[int]) -> None: ...
    def __call__(self, inputs: NDArray[np.float32], /) -> NDArray[np.float32]: ...


_PATIENCE = 1.0  # s after which a worker that says nothing is looked at


@dataclass(frozen=True)
class Exchange:
    """Memory that the workers share with the learner's process, and their signals."""

    columns: tuple[Columns, ...]  # of each worker
    blocks: tuple[Columns, ...]
    sizes: tuple[int, int]  # of a row of the network's inputs (observations), of its outputs (logits)
    observations: Any
    logits: Any
    asking: Any  # for each worker a byte that it sets when its observations are there
    asked: Any  # released by a worker after that
    answered: tuple[Any, ...]  # of each worker: released when the logits of its part of a block are there

    @classmethod
    def make(cls, columns: Sequence[Columns], blocks: Sequence[Columns], sizes: tuple[int, int]) -> "Exchange":
        context = multiprocessing.get_context("spawn")
        rows = columns[-1][1]
        observations, logits = (RawArray("f", rows * size) for size in sizes)
        asking, asked = RawArray("b", len(columns)), context.Semaphore(0)
        answered = tuple(context.Semaphore(0) for _ in columns)
        return cls(tuple(columns), tuple(blocks), sizes, observations, logits, asking, asked, answered)

    def arrays(self) -> list[NDArray[np.float32]]:
        """Observations (A, size) and logits (A, outputs) of all columns."""
        buffers = zip((self.observations, self.logits), self.sizes, strict=True)
        return [np.frombuffer(memory, np.float32).reshape(-1, size) for memory, size in buffers]

    def parts_of(self, worker: int) -> dict[int, Columns]:
        """The blocks in which a worker has columns, and these columns."""
        start, stop = self.columns[worker]
        parts = ((max(a, start), min(b, stop)) for a, b in self.blocks)
        return {number: (a, b) for number, (a, b) in enumerate(parts) if a < b}


def in_blocks(forward: Forward, blocks: Sequence[Columns]) -> Forward:
    """The forward pass of all columns in one process, with the bits that a `Server` gives."""
    return lambda observations: np.concatenate([forward(observations[start:stop]) for start, stop in blocks])


class Client:
    """The forward pass of one worker's columns, as the worker sees it."""

    def __init__(self, exchange: Exchange, worker: int) -> None:
        start, stop = exchange.columns[worker]
        self._exchange, self._worker, self._parts = exchange, worker, len(exchange.parts_of(worker))
        self._observations, self._logits = (each[start:stop] for each in exchange.arrays())

    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        self._observations[:] = observations
        self._exchange.asking[self._worker] = 1
        self._exchange.asked.release()
        for _ in range(self._parts):
            self._exchange.answered[self._worker].acquire()
        return self._logits


class Stopped(Exception):
    """Raised by a `Server` that was told to stop."""


class Server:
    """Computes the logits that the workers ask for, a block as soon as all its workers have asked."""

    def __init__(self, exchange: Exchange, forward: Forward) -> None:
        self._exchange, self._forward, self._stopped = exchange, forward, False
        self._observations, self._logits = exchange.arrays()
        self._parts = [exchange.parts_of(worker) for worker in range(len(exchange.columns))]
        self._members = [
            [worker for worker, parts in enumerate(self._parts) if number in parts]
            for number in range(len(exchange.blocks))
        ]
        self._asked, self._answered = [0] * len(self._parts), [0] * len(self._members)

    def serve(self, num_steps: int, is_new: IsNew) -> None:
        """Answers all questions of a rollout. Call it after the workers were told to collect.

        `is_new(worker)` is called about a worker that asks nothing for a while: whether a new process has taken its
        place, which plays the rollout from its first step. It may raise. Raises Stopped; see `stop`."""
        self._asked, self._answered = [0] * len(self._parts), [0] * len(self._members)
        self._finish(num_steps, is_new)

    def serve_alone(self, worker: int, num_steps: int, is_new: IsNew) -> None:
        """Answers all questions of a new process that begins the rollout after all others have ended it."""
        self._asked[worker] = 0
        self._finish(num_steps, is_new)

    def _finish(self, num_steps: int, is_new: IsNew) -> None:
        """Answers until every worker has asked `num_steps` times."""
        while min(self._asked) < num_steps:
            if self._exchange.asked.acquire(timeout=_PATIENCE):
                for worker, asks in enumerate(bytes(self._exchange.asking)):  # a copy: workers write to it meanwhile
                    if asks:
                        self._hear(worker)
            elif not self._stopped:
                for worker in self._awaited(num_steps):
                    if is_new(worker):
                        self._asked[worker] = 0
            if self._stopped:
                raise Stopped

    def _hear(self, worker: int) -> None:
        """Takes a question, and answers it or that of the worker's blocks if they are complete now."""
        self._exchange.asking[worker] = 0
        self._asked[worker] += 1
        for number, part in self._parts[worker].items():
            if self._asked[worker] <= self._answered[number]:  # a new process, led through the steps that are played
                self._answer(part, [worker])
            elif all(self._asked[member] > self._answered[number] for member in self._members[number]):
                self._answered[number] += 1
                self._answer(self._exchange.blocks[number], self._members[number])

    def _answer(self, columns: Columns, workers: Sequence[int]) -> None:
        start, stop = columns
        self._logits[start:stop] = self._forward(self._observations[start:stop])
        for worker in workers:
            self._exchange.answered[worker].release()

    def _awaited(self, num_steps: int) -> list[int]:
        """The workers that have an answer to all that they have asked, and have not asked everything yet."""
        return [
            worker
            for worker, (asked, parts) in enumerate(zip(self._asked, self._parts, strict=True))
            if asked < num_steps and all(self._answered[number] >= asked for number in parts)
        ]

    def stop(self) -> None:
        """Ends `serve` in another thread within a second; it raises Stopped."""
        self._stopped = True

    def forget(self, worker: int) -> None:
        """Takes back the signals to and from a process that has ended. Call it before a new one takes its place."""
        self._exchange.asking[worker] = 0
        while self._exchange.answered[worker].acquire(block=False):
            pass


def in_arenas(columns: Sequence[int], count: int) -> list[Columns]:
    """Blocks of whole arenas, `count` or one for each arena, as even as possible; `columns` (N + 1,): where the columns
    of each arena begin."""
    arenas = len(columns) - 1
    bounds = [columns[-(-arenas * k // count)] for k in range(count + 1)]
    return [(start, stop) for start, stop in pairwise(bounds) if start < stop]
