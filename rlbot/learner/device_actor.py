"""The policy on the learner's device, for a learner's process that acts for its workers."""

from collections.abc import Callable, Collection
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlbot.hardware import Hardware
from rlbot.learner.cuda_graph import CudaGraph
from rlbot.model.own import AnyModel, OwnActorCritic
from rlbot.policy import AnyNetwork

Floats = NDArray[np.float32]
_FIRST = -1  # priority of a stream of the GPU: its kernels go before those of the learner


class DeviceActor:
    """(M, input_size) -> (M, output_size), with weights of its own: the learner may learn while it acts."""

    def __init__(
        self, model: AnyModel, network: AnyNetwork, hardware: Hardware, warn: Callable[[str], None] = print
    ) -> None:
        """model: a network of the same shape as the learner's, which nobody else uses. `warn` gets a line if it cannot
        be captured as a CUDA graph."""
        self._model, self._network, self._hardware, self._warn = model.requires_grad_(False), network, hardware, warn
        self._run = model.actor_outputs if isinstance(model, OwnActorCritic) else model.actor_logits
        self._graphs: dict[int, _Graph] = {}
        self._captures = hardware.device.type == "cuda"
        self.blocks = 4 if self._captures else 2  # docs/performance.md
        # The stream of another thread: what runs in it and in the learner's stream runs at the same time.
        self._stream = torch.cuda.Stream(hardware.device, _FIRST) if self._captures else None  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def load(self, weights: Floats, rows: Collection[int]) -> None:
        """Takes over the weights (network.size(),). rows: the numbers of rows that it will mostly be called with."""
        tensors = {name: torch.from_numpy(each) for name, each in self._network.state_dict(weights).items()}
        loaded = self._model.load_state_dict(tensors, strict=False)  # a critic has no weights in there
        assert not loaded.unexpected_keys, loaded
        if self._captures and self._stream is not None:
            self._capture(set(rows) - self._graphs.keys(), self._stream)
        self._hardware.synchronize()

    def _capture(self, rows: Collection[int], stream: torch.cuda.Stream) -> None:
        try:
            for count in rows:
                self._graphs[count] = _Graph(self._run, count, self._network, stream)
        except (RuntimeError, ValueError) as error:  # ValueError: of a network of the user's own
            self._captures = False
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            self._warn(f"Acting takes longer than it could: the network is no CUDA graph here ({reason})")

    @torch.inference_mode()
    def __call__(self, inputs: Floats) -> Floats:
        """Returns the outputs, which are valid until the next call."""
        if self._stream is None:
            torch.get_num_threads()  # gives this thread of Python the number that was set in another one
            # The last bits of a product depend on where its rows begin in memory. A copy always begins at a cache line.
            outputs: Floats = self._run(torch.from_numpy(inputs).clone()).numpy()
            return outputs
        with torch.cuda.stream(self._stream):
            if (graph := self._graphs.get(len(inputs))) is not None:
                return graph(inputs)
            return self._hardware.array(self._run(self._hardware.tensor(inputs)))


class _Graph:
    """The forward pass of a fixed number of rows as a CUDA graph, with page-locked memory on the host."""

    def __init__(
        self, run: Callable[[Tensor], Tensor], rows: int, network: AnyNetwork, stream: torch.cuda.Stream
    ) -> None:
        self._given = torch.zeros(rows, network.input_size, pin_memory=True)
        self._inputs = torch.zeros(rows, network.input_size, device=stream.device)
        self._graph = CudaGraph(partial(run, self._inputs), stream=stream)
        self._outputs = torch.zeros(rows, network.output_size, pin_memory=True)
        # Asks the GPU all the time: to sleep takes 0.05 ms longer, for which the workers wait.
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def __call__(self, inputs: Floats) -> Floats:
        self._given.numpy()[:] = inputs
        self._inputs.copy_(self._given, non_blocking=True)
        self._outputs.copy_(self._graph.replay(), non_blocking=True)
        self._done.record()
        self._done.synchronize()
        outputs: Floats = self._outputs.numpy()
        return outputs
