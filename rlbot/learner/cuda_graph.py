"""Gradient steps as CUDA graphs. A step has hundreds of kernels; a graph launches all of them at once, which takes a
fraction of the time in which Python launches one after the other. The numbers are the same to the last bit."""

import gc
from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor

from rlbot.learner.batch import Batch

_WARM_UPS = 3  # calls before a capture, in which libraries get their memory and load their kernels


class CudaGraph:
    """What a function launches on the GPU, captured once and launched again by `replay`."""

    def __init__(
        self,
        function: Callable[[], Tensor],
        beside: "CudaGraph | None" = None,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        """Calls `function` several times. beside: a graph that never runs at the same time, whose memory this one
        shares. stream: in which it is captured; it must be its own if it runs at the same time as other graphs, because
        cuBLAS has a workspace for each stream. Raises RuntimeError if `function` waits for the GPU, or does anything
        else that cannot be captured.

        https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
        """
        self._function = function  # keeps the tensors that the graph reads and writes
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                function()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        pool = None if beside is None else beside._graph.pool()
        gc.collect()  # otherwise it might free graphs and page-locked memory in the middle of the capture
        # Another thread may act with the GPU meanwhile (DeviceActor).
        with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._result = function()

    def replay(self) -> Tensor:
        """Returns what the function would return. It reads its inputs from where they were at the capture."""
        self._graph.replay()
        return self._result.clone()


class StepGraphs:
    """Takes the gradient steps of an update: one graph for each number of rows, of which an update has at most two.

    `step(batch, rows)` takes a step and returns its metrics. It must not wait for the device, must do the same at every
    call, and must change nothing if the rows are those of a blank batch. finish: if a step has two halves, between
    which the ranks meet, the second one. The first one is then `step(batch, rows, weights)`, weights (B,).
    """

    def __init__(
        self,
        step: Callable[..., Tensor],
        graph: type[CudaGraph] = CudaGraph,
        finish: Callable[[], Tensor] | None = None,
    ) -> None:
        self._step, self._graph, self._second = step, graph, finish
        self.clear()

    def clear(self) -> None:
        """Forgets the graphs. Call it if tensors that a step reads or writes have been replaced by others."""
        self._batch: Batch | None = None
        self._constants: object = None
        self._graphs: dict[int, tuple[tuple[Tensor, ...], CudaGraph]] = {}
        self._finish: CudaGraph | None = None

    def fit(self, batch: Batch, sizes: Collection[int], constants: object = None) -> bool:
        """Whether the graphs can take steps of these numbers of rows of `batch`; otherwise `capture` them. constants:
        what else decides what a step does, and is not in the memory of the device."""
        there = self._batch is not None and self._batch.is_like(batch) and set(sizes) <= self._graphs.keys()
        return there and constants == self._constants

    def capture(self, batch: Batch, sizes: Collection[int], constants: object = None) -> None:
        """Captures steps of these numbers of rows of batches like this one. Raises RuntimeError if that fails."""
        self.clear()
        self._constants = constants
        blank = batch.blank()
        device, beside = batch.log_probs.device, None
        for size in sorted(set(sizes), reverse=True):
            given: tuple[Tensor, ...] = (torch.arange(size, device=device),)
            if self._second is not None:
                given += (torch.ones(size, device=device),)
            beside = self._graph(partial(self._step, blank, *given), beside)
            self._graphs[size] = given, beside
        if self._second is not None:
            self._finish = self._graph(self._second, beside)
        self._batch = blank

    def load(self, batch: Batch) -> None:
        """Copies the batch to where the graphs read it."""
        assert self._batch is not None
        self._batch.copy_(batch)

    def step(self, *given: Tensor) -> Tensor:
        """Takes a step, or the first half of one, on these rows of the batch that was loaded; returns the metrics."""
        places, graph = self._graphs[len(given[0])]
        for place, each in zip(places, given, strict=True):
            place.copy_(each)
        return graph.replay()

    def finish(self) -> Tensor:
        """Takes the second half of a step; returns its metrics."""
        assert self._finish is not None
        return self._finish.replay()
