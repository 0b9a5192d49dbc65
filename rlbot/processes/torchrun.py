"""Reads the environment variables that torchrun sets for a process. Does not import PyTorch, which is slow."""

import os
from dataclasses import dataclass

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class World:
    """The rank of this process, and the number of processes that train one bot together; by default only one."""

    rank: int = 0  # rank 0 writes all files and console lines
    size: int = 1
    local_rank: int = 0  # among the processes on this machine
    local_size: int = 1

    @classmethod
    def found(cls) -> "World | None":
        """Returns the world that torchrun set; None if torchrun did not start this process."""
        if not all(os.environ.get(name, "").isdigit() for name in _NAMES):
            return None
        return cls(*(int(os.environ[name]) for name in _NAMES))

    @classmethod
    def of_run(cls, distributed: bool) -> "World":
        """Returns the world of a run. Raises ValueError if hardware.distributed (`distributed`) does not agree with how
        the process was started."""
        world = cls.found()
        if distributed and world is None:
            raise ValueError(
                "hardware.distributed=true: needs several processes, which torchrun starts:\n"
                "torchrun --nproc-per-node=2 -m rlbot.train hardware=distributed\n"
                "for one process choose another hardware, such as hardware=auto"
            )
        if not distributed and world is not None and world.size > 1:
            raise ValueError(
                f"hardware.distributed=false: torchrun started {world.size} processes, which would train "
                f"{world.size} bots into one directory;\nadd hardware=distributed, or start without torchrun"
            )
        return world or ALONE


ALONE = World()


class LostProcess(RuntimeError):
    """Another process of the run ended or cannot be reached, so this one cannot continue."""


def job() -> str | None:
    """Returns a name for the torchrun job; None if torchrun does not restart failed processes (--max-restarts=0)."""
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") == "0":
        return None
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")  # torchrun calls every job "none" that has no id
    return f"{name}-{os.getppid()}" if name == "none" else name


def attempt() -> str:
    """Returns how often torchrun has restarted the processes."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
