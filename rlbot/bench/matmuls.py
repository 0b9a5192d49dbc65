"""The lower limit for the time of an update: its matrix products alone."""

from time import perf_counter

import torch
from torch import Tensor

from rlbot.hardware import Hardware
from rlbot.model.own import AnyModel


class Products:
    """The matrix products of a PPO update, in its precision and in parts of as many rows, and nothing else: no
    gathering of rows, sums, norms, activations, losses or optimizer."""

    def __init__(self, model: AnyModel, hardware: Hardware, minibatch_size: int, epochs: int) -> None:
        self._hardware, self._epochs = hardware, epochs
        self._minibatch = minibatch_size
        self._model = model
        self._tensors: dict[tuple[int, ...], Tensor] = {}

    def play(self, rows: int, seconds: float) -> tuple[int, float]:
        """Do the products of whole updates from `rows` timesteps until `seconds` have passed; returns timesteps and the
        seconds they took."""
        self._update(rows)  # warm-up: memory is allocated and kernels are chosen
        self._hardware.synchronize()
        steps, began = 0, perf_counter()
        while not steps or perf_counter() - began < seconds:
            self._update(rows)
            self._hardware.synchronize()
            steps += rows
        return steps, perf_counter() - began

    @torch.inference_mode()
    def _update(self, rows: int) -> None:
        part = min(self._minibatch, self._hardware.rows)
        layers = [(name, each.shape) for name, each in self._model.named_parameters() if each.ndim == 2]
        for start in range(0, rows, self._hardware.rows):  # values of the whole rollout
            for name, shape in layers:
                if not name.startswith("actor") or getattr(self._model, "critic_trunk", None) is None:
                    self._forward(min(self._hardware.rows, rows - start), *shape)
        for _ in range(self._epochs):
            for start in range(0, rows, part):
                for _, (outputs, inputs) in layers:
                    self._forward(min(part, rows - start), outputs, inputs)
                    self._backward(min(part, rows - start), outputs, inputs)

    def _forward(self, rows: int, outputs: int, inputs: int) -> None:
        torch.mm(self._of(rows, inputs), self._of(outputs, inputs).t(), out=self._of(rows, outputs, 1))

    def _backward(self, rows: int, outputs: int, inputs: int) -> None:
        gradient = self._of(rows, outputs)
        torch.mm(gradient.t(), self._of(rows, inputs), out=self._of(outputs, inputs, 1))
        if inputs != self._model.observation_size:  # the gradient of the observations is not needed
            torch.mm(gradient, self._of(outputs, inputs), out=self._of(rows, inputs, 1))

    def _of(self, *shape: int) -> Tensor:
        """A cached tensor of shape[:2]; a third number gives a result other memory than a factor of the same shape."""
        if shape not in self._tensors:
            self._tensors[shape] = torch.rand(shape[:2], device=self._hardware.device).to(self._hardware.dtype)
        return self._tensors[shape]
