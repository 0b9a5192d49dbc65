import pytest
import torch

from rlbot.hardware import gpu_line, gpu_stats


def test_a_missing_gpu_gives_none() -> None:
    assert gpu_stats(10_000) is None


def test_a_visible_device_that_nvml_does_not_know_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-00000000-0000-0000-0000-000000000000")
    assert gpu_stats(0) is None


def test_the_line() -> None:
    stats = {"utilization": 85.3, "memory_used": 2048.2, "memory_total": 8192.0}
    assert gpu_line(stats) == "GPU utilization: 85.3%, Memory: 2048/8192 MB"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu() -> None:
    stats = gpu_stats(0)
    if stats is None:
        pytest.skip("the driver does not tell the load of this GPU")
    assert 0.0 <= stats["utilization"] <= 100.0 and 0.0 < stats["memory_used"] < stats["memory_total"]
