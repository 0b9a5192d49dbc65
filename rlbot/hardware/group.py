"""The process group: communication between the ranks of a distributed run. With one process nothing is sent."""

import importlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from rlbot.processes.torchrun import ALONE, LostProcess, World, attempt

T = TypeVar("T")
_SILENCE = timedelta(minutes=5)  # timeout for a machine that lost its power; a process that died is noticed at once


@dataclass(frozen=True)
class Group:
    """All ranks must call the same methods in the same order. A method raises LostProcess if another rank is gone."""

    world: World = ALONE

    @classmethod
    def join(cls, world: World, device: str) -> "Group":
        """Joins the group that torchrun prepared; waits for all ranks. `device`: the setting hardware.device.

        CPU tensors are sent with gloo, GPU tensors with NCCL. Raises ValueError if there are too few GPUs.
        """
        if world.size == 1:
            return cls(world)
        importlib.import_module("torch.distributed.nn")  # see `leave`
        cuda = device != "cpu" and torch.cuda.is_available()
        if cuda and world.local_size > torch.cuda.device_count():
            raise ValueError(
                f"hardware.device={device}: {world.local_size} processes on a machine with "
                f"{torch.cuda.device_count()} GPUs;\n"
                "start one for each GPU (--nproc-per-node), or add hardware.device=cpu"
            )
        if cuda:
            torch.cuda.set_device(world.local_rank)
        with _contact():
            store, rank, size = next(rendezvous("env://", timeout=_SILENCE))
            # torchrun may keep its store, with the addresses of the old processes, when it restarts processes.
            store = dist.PrefixStore(f"attempt {attempt()}", store)  # type: ignore[attr-defined]
            backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_SILENCE)
        return cls(world)

    @property
    def rank(self) -> int:
        return self.world.rank

    @property
    def size(self) -> int:
        return self.world.size

    def gather(self, value: T) -> list[T]:
        """Returns the `value` (anything that can be pickled) of every rank, in order of the ranks."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with _contact():
            dist.all_gather_object(found, value)
        return found

    def first(self, value: T) -> T:
        """Returns the `value` of rank 0 in every rank."""
        if self.size == 1:
            return value
        held = [value if self.rank == 0 else None]
        with _contact():
            dist.broadcast_object_list(held)
        return held[0]  # type: ignore[return-value]

    def sum(self, tensor: Tensor) -> Tensor:
        """Sums `tensor` over the ranks, in place; the result has the same bits in all ranks."""
        if self.size > 1:
            with _contact():
                dist.all_reduce(tensor)
        return tensor

    @torch.no_grad()
    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrites `tensors`, all of one dtype, with those of rank 0, as one message."""
        if self.size > 1:
            tensors = list(tensors)
            flat = _flat(tensors)
            with _contact():
                dist.broadcast(flat, 0)
            _scatter(flat, tensors)

    def leave(self) -> None:
        """Leaves the group at the end of the run, when nothing more is sent, and ends the threads of gloo: one that is
        busy when Python ends takes the process with it (SIGABRT).

        They live as long as anything refers to the group. The functions of torch.distributed.nn do, as their default
        argument, if PyTorch imports them while the group exists; so they are imported before there is one.
        """
        if self.size > 1:
            dist.destroy_process_group()


SINGLE = Group()


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten() for each in tensors])


def _scatter(flat: Tensor, tensors: list[Tensor]) -> None:
    at = 0
    for each in tensors:
        each.copy_(flat[at : at + each.numel()].view_as(each))
        at += each.numel()


@contextmanager
def _contact() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = re.sub(
            r"^\[[^]]*\] *|\. .*", "", str(error).strip().splitlines()[0]
        )  # without source lines and advice
        raise LostProcess(f"another process of this run ended or cannot be reached ({reason})") from error
