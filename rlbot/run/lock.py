"""The lock that lets only one process at a time train in a run directory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

NAME = ".lock"
_PATIENCE = 1.0  # s; `is_locked` holds the lock for a moment


@contextmanager
def locked(directory: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock DIRECTORY/.lock. The operating system releases it when the process ends, however it ends; the file
    stays.

    Raises ValueError if another process holds the lock. If the file system has no locks (some network drives), `warn`
    gets one line, and the run goes on without a lock.
    """
    lock = FileLock(str(directory / NAME))
    try:
        lock.acquire(timeout=_PATIENCE, poll_interval=0.02)
    except Timeout:
        raise ValueError(
            f"run directory {directory}: another process is training in it\n"
            "wait until it has ended or stop it with Ctrl-C, or start a new run without resume and hydra.run.dir"
        ) from None
    except (OSError, NotImplementedError) as error:
        warn(f"{directory / NAME} cannot be locked ({error}): do not start a second process in this run")
    try:
        yield
    finally:
        lock.release()


def is_locked(directory: Path) -> bool:
    """Whether a process trains in the directory. True as well if the file system has no locks, so that nobody knows."""
    if not (directory / NAME).exists():
        return False
    lock = FileLock(str(directory / NAME))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return True
    lock.release()
    return False
