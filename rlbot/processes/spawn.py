"""Child processes: each answers requests over a pipe, ignores stop signals, and ends when its parent ends.

They are started by spawn, as on every system: their arguments must be picklable.
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

_MAX_HANDLES = 60  # Windows can wait for at most 63 at once


class ChildDied(RuntimeError):
    """A child process ended without an answer, or hangs. The text says which process, and how it ended."""


class ChildTraceback(Exception):
    """The child's traceback of an exception. It is the cause of that exception in the parent."""


class ChildProcess:
    """The parent's end of a child process."""

    def __init__(self, main: "Callable[..., None]", *arguments: Any, name: str) -> None:
        """Starts a process that runs main(parent, *arguments), where `parent` is a `Parent`, and returns at once.

        An exception that `main` raises is sent as the last answer. name: the name of the process in messages.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # Not a daemon, because daemons may not start processes.
        self.process = context.Process(target=_run, args=(theirs, main, arguments), name=name, daemon=False)
        with _signals_blocked():
            self.process.start()
        theirs.close()
        atexit.register(self.process.kill)  # before multiprocessing waits for it

    def send(self, request: Any) -> None:
        """Sends a request. Raises ChildDied if the process has ended."""
        try:
            self._connection.send(request)
        except OSError as error:
            raise self._died() from error

    def wait(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds. Returns whether `receive` would now return or raise at once."""
        return bool(connection.wait([self._connection, self.process.sentinel], timeout))

    def receive(self) -> Any:
        """Returns the next answer. If the process raised an exception, raises that. Raises ChildDied if the process has
        ended."""
        try:
            value, error, where = self._connection.recv()
        except (EOFError, OSError) as gone:  # OSError: it ended before it had read everything in the pipe
            raise self._died() from gone
        if error is not None:
            raise error from ChildTraceback(f"\n{where}")
        return value

    def hang_up(self) -> None:
        """Closes the pipe. The process ends by itself when it has answered the requests so far."""
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
        # Beyond _MAX_HANDLES an answer is seen up to half a second late. So is the death of a process that ended before
        # it opened its end of the pipe.
        connection.wait([child._connection for child in children[:_MAX_HANDLES]], timeout=0.5)
        if ready := [child for child in children if child.wait(0.0)]:
            return ready


class Parent:
    """The child's end of the connection to its parent."""

    def __init__(self, pipe: "connection.Connection[Any, Any]") -> None:
        self._connection = pipe

    def requests(self) -> Iterator[Any]:
        """Yields the requests of the parent until it hangs up or ends."""
        while True:
            try:
                request = self._connection.recv()
            except (EOFError, OSError):  # OSError: it ended before it had read everything in the pipe
                return
            yield request

    def send(self, value: Any) -> None:
        """Sends an answer. Does nothing if the parent is gone; `requests` ends then."""
        self._tell(value, None, "")

    def answer(self, work: Callable[[], Any]) -> None:
        """Sends the return value of `work()`, or the exception that it raises."""
        try:
            self.send(work())
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Sends an exception, which the parent's `receive` raises; as RuntimeError if it cannot be pickled."""
        shown = error if _picklable(error) else RuntimeError(f"{type(error).__name__}: {error}")
        self._tell(None, shown, "".join(traceback.format_exception(error)))

    def _tell(self, value: Any, error: Exception | None, where: str) -> None:
        with suppress(OSError):
            self._connection.send((value, error, where))


def _run(pipe: "connection.Connection[Any, Any]", main: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    for number in STOP_SIGNALS:  # needed on Windows, where they are not blocked
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    parent = Parent(pipe)
    try:
        main(parent, *arguments)
    except Exception as error:
        parent.fail(error)
    finally:
        _kill_children()  # otherwise multiprocessing would wait for them


def _end_with_parent() -> None:
    """Waits until the parent has ended, in whatever way, and then ends this process, even if it is computing."""
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
    """A process that is started in this context has the stop signals blocked from its first moment. A terminal or a
    batch queue sends them to every process of a run, but only the main process handles them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # otherwise Process.start() starts it, and that unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
