import os

import pytest

from rlbot.processes.torchrun import ALONE, World, attempt, job

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture(autouse=True)
def _nobody_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*TORCHRUN, "TORCHELASTIC_RUN_ID", "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RESTART_COUNT"]:
        monkeypatch.delenv(name, raising=False)


def test_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert World.found() is None and World.of_run(distributed=False) == ALONE
    with pytest.raises(ValueError, match=r"hardware\.distributed=true: (.|\n)*torchrun --nproc-per-node=2"):
        World.of_run(distributed=True)
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert World.of_run(distributed=True) == World(rank=3, size=4, local_rank=1, local_size=2)
    with pytest.raises(ValueError, match=r"started 4 processes(.|\n)*add hardware=distributed"):
        World.of_run(distributed=False)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert World.of_run(distributed=False).size == 1


def test_job(monkeypatch: pytest.MonkeyPatch) -> None:
    assert job() is None and attempt() == "0"
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert job() == f"none-{os.getppid()}"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "walk")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert job() == "walk" and attempt() == "2"
