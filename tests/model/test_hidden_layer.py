from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor, nn

from rlbot.model.hidden_layer import _Finish, _rounded, _widened, hidden_layer

WIDTH = 40  # no multiple of a vector's length


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _layer(seed: int = 0) -> tuple[nn.Linear, nn.LayerNorm]:
    torch.manual_seed(seed)
    linear, norm = nn.Linear(12, WIDTH), nn.LayerNorm(WIDTH)
    for each in (linear.bias, norm.weight, norm.bias):
        nn.init.normal_(each)
    return linear, norm


def _in_bf16(x: Tensor, linear: nn.Linear, norm: nn.LayerNorm, relu: bool) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return hidden_layer(x, linear, norm, relu)


def test_four_numbers_by_hand() -> None:
    # 1, 2, 3, 6 with a bias of 0, 0, 0, -2 are 1, 2, 3, 4: mean 2.5, variance 1.25, deviation 1.1180
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]], dtype=torch.bfloat16)
    bias, gain, shift = torch.tensor([[0.0, 0.0, 0.0, -2.0], [2.0, 2.0, 2.0, -1.0], [0.0, 0.0, 0.0, 1.0]])
    # -1.5 * 2 / 1.1180 = -2.6833, -.8944, .8944, -1.5 / 1.1180 + 1 = -.3416
    plain = torch.tensor([[-2.6833, -0.8944, 0.8944, -0.3416]])
    for relu, expected in ((False, plain), (True, torch.tensor([[0.0, 0.0, 0.8944, 0.0]]))):
        y = _Finish.apply(x, bias, gain, shift, 0.0, relu)
        torch.testing.assert_close(y.float(), expected, rtol=2**-8, atol=0.0)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_results_and_gradients_are_those_of_float64(rows: int, relu: bool) -> None:
    linear, norm = _layer()
    x, seed = torch.randn(rows, 12, dtype=torch.bfloat16), torch.randn(rows, WIDTH, dtype=torch.bfloat16)
    y = _in_bf16(x, linear, norm, relu)
    assert y.dtype == torch.bfloat16
    product = F.linear(x, linear.weight.bfloat16()).double().requires_grad_()  # rounded, as the layer's own
    parameters = [each.detach().double().requires_grad_() for each in (linear.bias, norm.weight, norm.bias)]
    exact = F.layer_norm(product + parameters[0], (WIDTH,), *parameters[1:], norm.eps)
    exact = torch.where(y > 0, exact, 0.0) if relu else exact  # results near 0 may be on the other side of it
    torch.testing.assert_close(y.double(), exact.detach(), rtol=2**-8, atol=1e-5)

    found = torch.autograd.grad(y, (linear.bias, norm.weight, norm.bias, linear.weight), seed)
    expected = torch.autograd.grad(exact, (*parameters, product), seed.double())
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-4)  # PyTorch, summing in bf16: 1
    torch.testing.assert_close(found[3].double(), expected[3].t() @ x.double(), rtol=0.02, atol=0.02 * rows**0.5)


def test_other_threads_and_precisions_take_pytorchs_layers() -> None:
    linear, norm = _layer()
    x = torch.randn(300, 12, dtype=torch.bfloat16)
    exact = torch.relu(norm(linear(x.float())))
    assert torch.equal(hidden_layer(x.float(), linear, norm, True), exact)
    one = _in_bf16(x, linear, norm, True)
    torch.set_num_threads(2)
    two = _in_bf16(x, linear, norm, True)
    assert not torch.equal(one, two), "both ways are the same: PyTorch sums the bias in bf16"
    for each in (one, two):
        torch.testing.assert_close(each.float(), exact, rtol=0.02, atol=0.06)


def test_a_row_depends_on_no_other_and_what_is_not_finite_stays_visible() -> None:
    linear, norm = _layer()
    x = torch.randn(9, 12, dtype=torch.bfloat16)
    before = _in_bf16(x, linear, norm, True)
    for number in (float("nan"), float("inf"), -float("inf")):
        x[4, 3] = number
        y = _in_bf16(x, linear, norm, True)
        assert y[4].isnan().all()
        assert torch.equal(y[5:], before[5:]) and torch.equal(y[:4], before[:4])
        gradient = torch.autograd.grad(y.float().sum(), norm.weight)[0]
        assert gradient.isnan().all()


def test_gradients_without_strides_and_inference() -> None:
    linear, norm = _layer()
    x = torch.randn(6, 12, dtype=torch.bfloat16)
    parameters = (linear.bias, norm.weight, norm.bias)
    expanded = torch.autograd.grad(_in_bf16(x, linear, norm, True).sum(), parameters)  # a gradient without strides
    ones = torch.autograd.grad(_in_bf16(x, linear, norm, True), parameters, torch.ones(6, WIDTH, dtype=torch.bfloat16))
    for ours, theirs in zip(expanded, ones, strict=True):
        assert torch.equal(ours, theirs)
    with torch.inference_mode():
        assert torch.equal(_in_bf16(x, linear, norm, True), _in_bf16(x.clone(), linear, norm, True))


@njit
def _convert(numbers, bits, widened):  # type: ignore[no-untyped-def]
    for i in range(len(numbers)):
        bits[i] = _rounded(numbers[i])
        widened[i] = _widened(bits[i])


def test_numbers_are_rounded_to_bf16_as_pytorch_does() -> None:
    rng = np.random.default_rng(0)
    upper = np.arange(2**16, dtype=np.uint32) << 16  # each number of bf16, and what lies half way to the next
    every = np.concatenate([upper, upper | 0x8000, upper | 0x7FFF, rng.integers(0, 2**32, 10_000, np.uint32)])
    numbers = every.view(np.float32)
    numbers = numbers[~np.isnan(numbers)]
    bits, widened = np.empty(len(numbers), np.uint16), np.empty(len(numbers), np.float32)
    _convert(numbers, bits, widened)
    expected = torch.from_numpy(numbers).bfloat16()
    assert np.array_equal(bits, expected.view(torch.int16).numpy().view(np.uint16))
    assert np.array_equal(widened, expected.float().numpy())
