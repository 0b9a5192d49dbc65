"""Runs a function in several real processes that form a group, as torchrun would start them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from rlbot.hardware import Group
from rlbot.processes.torchrun import World


def together(work: Callable[[Group], Any], size: int = 2) -> list[Any]:
    """What `work(group)` returned in each process, by rank; None of a process that ended without returning. If it is a
    function, what that returns after the process has left the group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context, started = multiprocessing.get_context("spawn"), []
    for rank in range(size):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_one, args=(work, rank, size, port, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append((process, mine))
    answers = []
    for _, mine in started:
        try:
            answers.append(mine.recv() if mine.poll(120) else None)
        except EOFError:
            answers.append(None)
    for process, _ in started:
        process.join(30)
        process.kill()
    return answers


def _one(work: Callable[[Group], Any], rank: int, size: int, port: int, answer: Connection) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    group = Group.join(World(rank, size, rank, size), "cpu")
    found = work(group)
    if not callable(found):
        answer.send(found)
    group.leave()
    if callable(found):
        answer.send(found())
