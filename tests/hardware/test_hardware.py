import random
from multiprocessing.sharedctypes import RawArray

import numpy as np
import pytest
import torch

from rlbot.hardware import Hardware
from rlbot.hardware.hardware import _choose_gpu_precision


def test_auto_on_a_machine_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    hardware = Hardware.choose()
    assert hardware.device == torch.device("cpu")
    assert f"cpu ({torch.get_num_threads()} threads), {hardware.precision}: " in hardware.reason
    assert "\n" not in hardware.reason
    hardware.synchronize()


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "AMD EPYC 9R14"}, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "Intel Xeon"}, "fp32"),
        ({"avx512_bf16": True, "amx_bf16": True, "cpu_name": "Intel Xeon"}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"architecture": "aarch64", "bf16": True}, "fp32"),
    ],
)
def test_the_precision_of_a_cpu_is_what_it_is_fast_in(
    capabilities: dict[str, object], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert Hardware.choose("cpu").precision == precision
    assert Hardware.choose("cpu", "fp32").precision == "fp32"
    asked = Hardware.choose("cpu", "bf16")
    assert asked.precision == "bf16" and ("fp32 is faster" in asked.reason) == (precision == "fp32")


def test_what_pytorch_was_told_to_leave_unused_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert Hardware.choose("cpu").precision == "fp32"


def test_an_older_pytorch_that_cannot_tell_gives_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert Hardware.choose("cpu").precision == "fp32"


def test_an_array_becomes_a_tensor_over_the_same_memory() -> None:
    array = np.zeros(3, np.float32)
    Hardware.choose("cpu").tensor(array)[1] = 2.0
    assert array.tolist() == [0.0, 2.0, 0.0]


def test_what_the_machine_cannot_do_is_refused_with_key_value_and_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"hardware\.device=cuda: (.|\n)*hardware=cpu"):
        Hardware.choose("cuda")
    for precision in ("fp16", "tf32"):
        with pytest.raises(ValueError, match=rf"^hardware\.precision={precision} .* fp32 or bf16\.$"):
            Hardware.choose("cpu", precision)
    with pytest.raises(ValueError, match=r"hardware\.device='tpu'"):
        Hardware.choose("tpu")
    with pytest.raises(ValueError, match=r"hardware\.precision='fp8'"):
        Hardware.choose("cpu", "fp8")
    with pytest.raises(ValueError, match=r"hardware\.threads=0"):
        Hardware.choose("cpu", threads=0)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        Hardware.choose("cpu", threads=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_denormals_are_flushed() -> None:
    Hardware.choose("cpu")
    assert torch.tensor(1e-30).mul(1e-10).item() == 0.0


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_runs_matrix_products_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    hardware = Hardware.choose("cpu", precision)
    with hardware.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert not hardware.scaler().is_enabled()


def test_seed_repeats_every_global_generator() -> None:
    hardware = Hardware.choose("cpu")
    draws = []
    for _ in range(2):
        hardware.seed(7)
        draws.append((random.random(), float(np.random.rand()), torch.rand(1).item()))  # noqa: NPY002
    assert draws[0] == draws[1]


@pytest.mark.parametrize(
    ("asked", "capability", "width", "precision"),
    [
        ("auto", (8, 0), 256, "tf32"),  # Ampere: A100
        ("auto", (8, 9), 1024, "tf32"),  # Ada: RTX 4090
        ("auto", (9, 0), 1025, "bf16"),  # Hopper: H100
        ("auto", (7, 5), 256, "fp32"),  # Turing: RTX 2080
        ("auto", (7, 5), 2048, "fp32"),
        ("fp32", (9, 0), 2048, "fp32"),
        ("tf32", (12, 0), 2048, "tf32"),  # Blackwell: RTX 5090
        ("fp16", (7, 0), 256, "fp16"),  # Volta: V100
    ],
)
def test_the_precision_of_a_gpu_is_what_it_is_fast_in(
    asked: str, capability: tuple[int, int], width: int, precision: str
) -> None:
    assert _choose_gpu_precision(asked, capability, width)[0] == precision


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpu_that_is_older_than_ampere_is_told_so(precision: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^hardware\.precision={precision}: this GPU is older than Ampere .* fp32\.$"
    ):
        _choose_gpu_precision(precision, (7, 5), 256)


def test_tf32_is_float32_to_pytorch_and_ends_with_the_run() -> None:
    hardware = Hardware(torch.device("cuda", 0), "tf32", "")
    with hardware.autocast():
        assert not torch.is_autocast_enabled("cuda")
    assert hardware.dtype == torch.float32 and not hardware.scaler().is_enabled()
    torch.set_float32_matmul_precision("high")  # as an earlier run in this process may have left it
    Hardware.choose("cpu", "fp32")
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu() -> None:
    hardware = Hardware.choose()
    assert hardware.device.type == "cuda" and hardware.precision in ("tf32", "fp32")
    assert Hardware.choose("cuda", "fp16").scaler().is_enabled()
    hardware.synchronize()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_copies_from_page_locked_memory() -> None:
    hardware = Hardware.choose()
    memory = RawArray("f", range(100_000))
    array = np.frombuffer(memory, np.float32)
    unlock = hardware.page_lock(memory)
    assert torch.from_numpy(array).is_pinned()
    hardware.page_lock(memory)()  # it is locked already: nothing happens, and what follows works
    assert torch.from_numpy(array).is_pinned()
    assert (hardware.array(hardware.tensor(array[500:]) * 2) == array[500:] * 2).all()
    unlock()
    assert not torch.from_numpy(array).is_pinned()
    assert (hardware.array(hardware.tensor(array[500:])) == array[500:]).all()
