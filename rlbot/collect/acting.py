"""Acting in the learner's process: workers hand over observations and wait for logits.

For networks that are slow in a worker or need the GPU. The columns of a rollout are divided into two blocks of arenas,
so that the workers step one block while the network computes the other. What is computed together depends on the blocks
alone, and so do the bits of the result: not on the number of workers.
"""

import math
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from numpy.typing import NDArray

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # inputs (M, input_size) -> outputs (M, output_size)
IsNew = Callable[[int], bool]  # see Server.serve
Columns = tuple[int, int]  # [start, stop) of a rollout

_PATIENCE = 1.0  # s after which a worker that says nothing is looked at


@dataclass(frozen=True)
class Exchange:
    """Memory that the workers share with the learner's process, and a pair of semaphores for each worker."""

    columns: tuple[Columns, ...]  # of each worker
    blocks: tuple[Columns, ...]
    sizes: tuple[int, int]  # of a row of the network's inputs (observations), of its outputs (logits)
    observations: Any
    logits: Any
    asked: tuple[Any, ...]  # released by a worker when its observations are there
    answered: tuple[Any, ...]  # released by the learner's process when the logits of one of its blocks are there

    @classmethod
    def make(cls, columns: Sequence[Columns], blocks: Sequence[Columns], sizes: tuple[int, int]) -> "Exchange":
        context = multiprocessing.get_context("spawn")
        rows = columns[-1][1]
        asked, answered = (tuple(context.Semaphore(0) for _ in columns) for _ in range(2))
        observations, logits = (RawArray("f", rows * size) for size in sizes)
        return cls(tuple(columns), tuple(blocks), sizes, observations, logits, asked, answered)

    def arrays(self) -> list[NDArray[np.float32]]:
        """Observations (A, size) and logits (A, outputs) of all columns."""
        buffers = zip((self.observations, self.logits), self.sizes, strict=True)
        return [np.frombuffer(memory, np.float32).reshape(-1, size) for memory, size in buffers]

    def blocks_of(self, worker: int) -> list[int]:
        """The blocks in which a worker has columns."""
        start, stop = self.columns[worker]
        return [number for number, (a, b) in enumerate(self.blocks) if max(a, start) < min(b, stop)]


def in_blocks(forward: Forward, blocks: Sequence[Columns]) -> Forward:
    """The forward pass of all columns in one process, with the bits that a `Server` gives."""
    return lambda observations: np.concatenate([forward(observations[start:stop]) for start, stop in blocks])


class Client:
    """The forward pass of one worker's columns, as the worker sees it."""

    def __init__(self, exchange: Exchange, worker: int) -> None:
        start, stop = exchange.columns[worker]
        self._observations, self._logits = (each[start:stop] for each in exchange.arrays())
        self._asked, self._answered = exchange.asked[worker], exchange.answered[worker]
        self._parts = len(exchange.blocks_of(worker))

    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        self._observations[:] = observations
        self._asked.release()
        for _ in range(self._parts):
            self._answered.acquire()
        return self._logits


class Server:
    """Computes the logits that the workers ask for."""

    def __init__(self, exchange: Exchange, forward: Forward) -> None:
        self._exchange, self._forward = exchange, forward
        self._observations, self._logits = exchange.arrays()
        self._blocks_of = [exchange.blocks_of(worker) for worker in range(len(exchange.columns))]
        self._steps = [0] * len(exchange.columns)  # of this rollout, about which each worker has asked

    def serve(self, num_steps: int, is_new: IsNew) -> None:
        """Answers all questions of a rollout. Call it after the workers were told to collect.

        `is_new(worker)` is called about a worker that asks nothing for a while: whether a new process has taken its
        place, which plays the rollout from its first step. It may raise."""
        self._steps = [0] * len(self._steps)
        for step in range(num_steps):
            for number, (start, stop) in enumerate(self._exchange.blocks):
                members = [worker for worker, blocks in enumerate(self._blocks_of) if number in blocks]
                for worker in members:
                    while self._steps[worker] <= step:
                        self._hear(worker, is_new)
                        if self._steps[worker] <= step:  # a new process, led through the steps before
                            self._answer_alone(worker)
                self._logits[start:stop] = self._forward(self._observations[start:stop])
                for worker in members:
                    self._exchange.answered[worker].release()

    def serve_alone(self, worker: int, num_steps: int, is_new: IsNew) -> None:
        """Answers all questions of a new process that begins the rollout after all others have ended it."""
        self._steps[worker] = 0
        while self._steps[worker] < num_steps:
            self._hear(worker, is_new)
            self._answer_alone(worker)

    def _hear(self, worker: int, is_new: IsNew) -> None:
        """Waits for the next question of a worker."""
        while not self._exchange.asked[worker].acquire(timeout=_PATIENCE):
            if is_new(worker):
                self._steps[worker] = 0
        self._steps[worker] += 1

    def _answer_alone(self, worker: int) -> None:
        start, stop = self._exchange.columns[worker]
        self._logits[start:stop] = self._forward(self._observations[start:stop])
        for _ in self._blocks_of[worker]:
            self._exchange.answered[worker].release()

    def forget(self, worker: int) -> None:
        """Takes back the signals to and from a process that has ended. Call it before a new one takes its place."""
        for signals in (self._exchange.asked[worker], self._exchange.answered[worker]):
            while signals.acquire(block=False):
                pass


def halves(columns: Sequence[int]) -> list[Columns]:
    """Two blocks of as many arenas as possible each; `columns` (N + 1,): where the columns of each arena begin."""
    middle = columns[math.ceil((len(columns) - 1) / 2)]
    return [each for each in ((columns[0], middle), (middle, columns[-1])) if each[0] < each[1]]
