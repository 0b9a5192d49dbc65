"""What torchrun told this process about itself, in environment variables. Without PyTorch, which is slow to load."""

import os
from dataclasses import dataclass

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class World:
    """A process's place among those that train one bot together; alone by default."""

    rank: int = 0  # rank 0 writes and speaks for all
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1

    @classmethod
    def found(cls) -> "World | None":
        """None where the process was not started by torchrun."""
        if not all(os.environ.get(name, "").isdigit() for name in _NAMES):
            return None
        return cls(*(int(os.environ[name]) for name in _NAMES))

    @classmethod
    def of_run(cls, distributed: bool) -> "World":
        """Of a run with hardware.distributed as given. Raises ValueError where that is not how it was started."""
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
    """Another process of the run ended or cannot be reached; this one cannot go on."""


def job() -> str | None:
    """A name for what torchrun starts anew when a process fails (--max-restarts); None where it would not."""
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") == "0":
        return None
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")  # "none" is what all jobs are called that were given no id
    return f"{name}-{os.getppid()}" if name == "none" else name


def attempt() -> str:
    """How often torchrun started the processes anew."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
