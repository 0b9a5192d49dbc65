"""Processes that a run starts: each answers requests over a pipe, leaves signals to its parent, and ends with it.

They are started by spawn, which works alike on Linux, macOS and Windows: what a process is given must be picklable.
"""

import atexit
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from typing import Any

from rlbot.processes.signals import STOP_SIGNALS

_MAX_HANDLES = 60  # Windows waits for at most 63 at once


class ChildDied(RuntimeError):
    """A child process ended without an answer, or hangs; the text says which process, and how it ended."""


class ChildTraceback(Exception):
    """Where in the child an exception was raised: the cause of that exception in the parent."""


class ChildProcess:
    """A process that this one started, as this one sees it."""

    def __init__(self, main: "Callable[..., None]", *arguments: Any, name: str) -> None:
        """Starts a process that runs main(parent, *arguments), where `parent` is a `Parent`, and returns at once.

        An exception that `main` raises is the process's last answer. name: what messages call the process.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # Not a daemon: daemons may not start processes of their own.
        self.process = context.Process(target=_run, args=(theirs, main, arguments), name=name, daemon=False)
        with _signals_blocked():
            self.process.start()
        theirs.close()
        atexit.register(self.process.kill)  # before multiprocessing waits for it

    def send(self, request: Any) -> None:
        """Raises ChildDied if the process has ended."""
        try:
            self._connection.send(request)
        except OSError as error:
            raise self._died() from error

    def wait(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds. Returns whether `receive` would now return or raise at once."""
        return bool(connection.wait([self._connection, self.process.sentinel], timeout))

    def receive(self) -> Any:
        """The next answer. Raises the exception that the process raised instead, and ChildDied if the process has
        ended."""
        try:
            value, error, where = self._connection.recv()
        except (EOFError, OSError) as gone:  # OSError: it ended with something in the pipe that it had not read
            raise self._died() from gone
        if error is not None:
            raise error from ChildTraceback(f"\n{where}")
        return value

    def hang_up(self) -> None:
        """Closes the pipe: the process ends by itself as soon as it has done what it was asked."""
        self._connection.close()

    def close(self) -> None:
        """Kills the process, whatever it is doing."""
        self.hang_up()
        atexit.unregister(self.process.kill)
        self.process.kill()
        self.process.join(timeout=10.0)

    def _died(self) -> ChildDied:
        process = self.process
        process.join(timeout=5.0)
        return ChildDied(f"{process.name} (process {process.pid}) ended with exit code {process.exitcode}")


def wait_any(children: Iterable[ChildProcess]) -> list[ChildProcess]:
    """Waits until `receive` of at least one of `children` would return or raise at once; returns all such children."""
    children = list(children)
    while True:
        # Of more than these an answer is seen half a second late, and so is a death before the pipe was taken over.
        connection.wait([child._connection for child in children[:_MAX_HANDLES]], timeout=0.5)
        if ready := [child for child in children if child.wait(0.0)]:
            return ready


class Parent:
    """The process that started this one, as this one sees it."""

    def __init__(self, pipe: "connection.Connection[Any, Any]") -> None:
        self._connection = pipe

    def requests(self) -> Iterator[Any]:
        """What the parent sends, until it hangs up or ends."""
        while True:
            try:
                request = self._connection.recv()
            except (EOFError, OSError):  # OSError: it ended with something in the pipe that it had not read
                return
            yield request

    def send(self, value: Any) -> None:
        """Sends an answer. If the parent is gone, nothing happens: `requests` ends then."""
        self._tell(value, None, "")

    def answer(self, work: Callable[[], Any]) -> None:
        """Sends what `work()` returns, or the exception that it raises."""
        try:
            self.send(work())
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Sends an exception, which the parent's `receive` raises: as RuntimeError if it cannot be pickled."""
        shown = error if _picklable(error) else RuntimeError(f"{type(error).__name__}: {error}")
        self._tell(None, shown, "".join(traceback.format_exception(error)))

    def _tell(self, value: Any, error: Exception | None, where: str) -> None:
        with suppress(OSError):
            self._connection.send((value, error, where))


def _run(pipe: "connection.Connection[Any, Any]", main: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    for number in STOP_SIGNALS:  # on Windows nothing has blocked them
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    parent = Parent(pipe)
    try:
        main(parent, *arguments)
    except Exception as error:
        parent.fail(error)
    finally:
        _kill_children()  # multiprocessing would wait for them


def _end_with_parent() -> None:
    """The system tells a process when its parent has ended, in whatever way, also while it computes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    _kill_children()
    os._exit(1)


def _kill_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()


def _picklable(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process that is started here has the stop signals blocked from its first moment: a terminal and a batch queue
    send them to every process of a run, and only the run itself handles them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # Process.start() would start it, and that unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
