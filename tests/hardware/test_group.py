"""The process group: alone, and in two real processes."""

import importlib
import os
from typing import Any

import psutil
import pytest
import torch

from rlbot.hardware import SINGLE, Group, Hardware
from rlbot.processes.torchrun import LostProcess, World
from tests.together import together


def talk(group: Group) -> dict[str, Any]:
    """Each method once; then rank 1 ends without a word."""
    rank = group.rank
    weights = [torch.full((2, 2), float(rank)), torch.full((3,), 10.0 + rank)]
    group.copy_first(weights)
    told: dict[str, Any] = {
        "gather": group.gather({"rank": rank}),
        "first": group.first(f"of {rank}"),
        "sum": group.sum(torch.tensor([1.0, rank])).tolist(),
        "weights": [each.flatten().tolist() for each in weights],
    }
    try:
        Hardware.choose("cpu", "bf16" if rank else "fp32", group=group)
    except ValueError as error:
        told["differ"] = str(error)
    if rank == 1:
        os._exit(1)
    try:
        group.gather(None)
    except LostProcess as error:
        os.environ.clear()
        told["lost"] = str(error)
    return told


def test_two_processes() -> None:
    told, none = together(talk)
    assert none is None
    assert told["gather"] == [{"rank": 0}, {"rank": 1}] and told["first"] == "of 0"
    assert told["sum"] == [2.0, 1.0]
    assert told["weights"] == [[0.0] * 4, [10.0] * 3]
    assert "rank 0 would compute on cpu in fp32, rank 1 on cpu in bf16" in told["differ"]
    assert "another process of this run ended" in told["lost"] and "\n" not in told["lost"]


def count_threads(group: Group) -> Any:
    """Returns a function that returns how many more threads there were within the group than there are then."""
    group.sum(torch.ones(1))
    importlib.import_module("torch.distributed.nn")  # as PyTorch does in a training
    within = psutil.Process().num_threads()
    return lambda: within - psutil.Process().num_threads()


def test_whoever_leaves_takes_its_threads_along() -> None:
    """Otherwise a thread of gloo that is still busy ends the process with SIGABRT when Python ends."""
    assert min(together(count_threads)) >= 3


def test_alone_everything_stays_as_it_is() -> None:
    weight = torch.ones(2)
    SINGLE.copy_first([weight])
    assert weight.tolist() == [1.0, 1.0]
    assert SINGLE.gather(3) == [3] and SINGLE.first("a") == "a" and SINGLE.sum(weight) is weight
    SINGLE.leave()
    assert Group.join(World(), "cpu") == SINGLE


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"hardware\.device=auto: 2 processes on a machine with 1 GPUs"):
        Group.join(World(0, 2, 0, 2), "auto")
