"""One process at a time trains in a run directory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

NAME = ".lock"


@contextmanager
def locked(directory: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Holds DIRECTORY/.lock. It is the operating system's and goes with the process, however that ends; the file stays.

    ValueError where another process holds it. File systems that know no locks (some network drives) are one line to
    `warn`, and the run goes on without.
    """
    lock = FileLock(str(directory / NAME))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"run directory {directory}: another process is training in it\n"
            "wait until it has ended or stop it with Ctrl-C, or start a run of its own without resume and hydra.run.dir"
        ) from None
    except (OSError, NotImplementedError) as error:
        warn(f"{directory / NAME} cannot be locked ({error}): do not start a second process in this run")
    try:
        yield
    finally:
        lock.release()
