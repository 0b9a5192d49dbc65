"""A hidden layer: linear, layer norm, ReLU.

In bf16 on one thread of a CPU, all that follows the product is one pass over its rows. PyTorch makes five operations of
it, with a copy of the bias for every row, which take twice as long, and sums the gradients of gain and shift in bf16
(docs/performance.md).
"""

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor, nn

_SHORT, _WHOLE = ir.IntType(16), ir.IntType(32)


def hidden_layer(x: Tensor, linear: nn.Linear, norm: nn.LayerNorm, relu: bool) -> Tensor:
    """x (B, inputs) -> (B, outputs). Layer norm: Ba et al. (2016), "Layer Normalization"."""
    if x.dtype == torch.bfloat16 and x.device.type == "cpu" and torch.get_num_threads() == 1:
        product = F.linear(x, linear.weight)
        finished = _Finish.apply(product, linear.bias, norm.weight, norm.bias, norm.eps, relu)  # type: ignore[no-untyped-call]
        return cast("Tensor", finished)
    x = F.linear(x, linear.weight, linear.bias)
    x = torch.layer_norm(x, list(norm.normalized_shape), norm.weight, norm.bias, norm.eps)
    return x.relu_() if relu else x


class _Finish(torch.autograd.Function):
    """Adds the bias and applies layer norm and, if asked for, ReLU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, gain: Tensor, shift: Tensor, epsilon: float, relu: bool) -> Tensor:
        y, moments = torch.empty_like(x), bias.new_empty(len(x), 2)
        ctx.least = np.float32(0.0 if relu else -np.inf)
        shared = bias.numpy(), gain.numpy(), shift.numpy()
        _forward(_bits(x), *shared, np.float32(epsilon), ctx.least, _bits(y), moments.numpy())
        ctx.save_for_backward(x, y, moments, bias, gain)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y, moments, bias, gain = ctx.saved_tensors
        grad_x, sums = torch.empty_like(x), bias.new_zeros(3, len(bias))
        rows = _bits(grad.contiguous()), _bits(x), _bits(y)
        shared = moments.numpy(), bias.numpy(), gain.numpy()
        _backward(*rows, *shared, ctx.least, _bits(grad_x), sums.numpy())
        return grad_x, *sums, None, None


def _bits(x: Tensor) -> Any:
    """The memory of bf16 numbers, which NumPy does not know, as uint16."""
    return x.view(torch.int16).numpy().view(np.uint16)


def _widen(_context: Any, _half: Any) -> Any:
    """The float32 of the bits of a bf16, which are the upper half of its own. (Numba's own shifts are 64 bits wide.)"""

    def generate(_: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.zext(arguments[0], _WHOLE)
        return builder.bitcast(builder.shl(bits, ir.Constant(_WHOLE, 16)), ir.FloatType())

    return types.float32(types.uint16), generate


def _round(_context: Any, _number: Any) -> Any:
    """The bits of the bf16 nearest to a float32, of two equally near ones of the even one."""

    def generate(_: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        sixteen, one, below_half = (ir.Constant(_WHOLE, each) for each in (16, 1, 0x7FFF))
        bits = builder.bitcast(arguments[0], _WHOLE)
        odd = builder.and_(builder.lshr(bits, sixteen), one)
        bits = builder.add(bits, builder.add(below_half, odd))
        return builder.trunc(builder.lshr(bits, sixteen), _SHORT)

    return types.uint16(types.float32), generate


_widened: Any = intrinsic(_widen)
_rounded: Any = intrinsic(_round)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # so that sums are vectorized
def _forward(x, bias, gain, shift, epsilon, least, y, moments):  # type: ignore[no-untyped-def]
    """Fill y (B, width) with the results of x, at least `least`, and moments (B, 2) with mean and 1 / deviation."""
    part = np.float32(1.0) / np.float32(len(bias))
    row = np.empty_like(bias)
    for i in range(len(x)):
        total = squares = np.float32(0.0)
        for j in range(len(bias)):
            row[j] = _widened(x[i, j]) + bias[j]
            total += row[j]
        mean = total * part
        for j in range(len(bias)):
            squares += (row[j] - mean) * (row[j] - mean)
        scale = np.float32(1.0) / np.sqrt(squares * part + epsilon)
        for j in range(len(bias)):
            value = (row[j] - mean) * scale * gain[j] + shift[j]
            y[i, j] = _rounded(least if value < least else value)
        moments[i, 0], moments[i, 1] = mean, scale


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _backward(grad, x, y, moments, bias, gain, least, grad_x, sums):  # type: ignore[no-untyped-def]
    """Fill grad_x (B, width), and add the gradients of bias, gain and shift to sums (3, width), from that of y.

    Each loop has few arrays: with more of them LLVM does not check whether they overlap, and does not vectorize.
    """
    part = np.float32(1.0) / np.float32(len(bias))
    normalised, gradient = np.empty_like(bias), np.empty_like(bias)
    for i in range(len(x)):
        mean, scale = moments[i, 0], moments[i, 1]
        for j in range(len(bias)):
            normalised[j] = (_widened(x[i, j]) + bias[j] - mean) * scale
            gradient[j] = np.float32(0.0) if _widened(y[i, j]) <= least else _widened(grad[i, j])
        total = product = np.float32(0.0)
        for j in range(len(bias)):
            sums[1, j] += gradient[j] * normalised[j]
            sums[2, j] += gradient[j]
            gradient[j] *= gain[j]
            total += gradient[j]
            product += gradient[j] * normalised[j]
        total *= part
        product *= part
        for j in range(len(bias)):
            gradient[j] = (gradient[j] - total - normalised[j] * product) * scale
            sums[0, j] += gradient[j]
            grad_x[i, j] = _rounded(gradient[j])
