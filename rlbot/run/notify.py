"""Messages to the user's phone or chat through apprise. They never delay the run, and never print an address."""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

_QUEUE_SIZE = 16
# apprise and the libraries that it uses log addresses, which contain tokens and passwords
_LOGGERS = (
    "apprise",
    "slixmpp",
    "urllib3",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)


class Notifier:
    """Sends messages for the chosen events to the apprise URLs in environment variable `url_env` (separated
    by spaces) from a background thread.

    events: the names for which `send` sends. warn: called from the background thread with one line for each message
    that could not be sent; the line contains no address. timeout: seconds that one receiver may take. Raises
    ValueError if apprise is not installed, the variable is empty or an entry is not an apprise URL.
    """

    def __init__(
        self, url_env: str, events: Collection[str], warn: Callable[[str], None], timeout: float = 15.0
    ) -> None:
        self._receivers = _receivers(url_env)
        self._events = frozenset(events)
        self._warn = warn
        self._timeout = timeout
        self._queue: queue.Queue[tuple[str, str, str] | None] = queue.Queue(_QUEUE_SIZE)
        self._busy: dict[int, threading.Thread] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        self._thread.start()

    def send(self, event: str, title: str, body: str) -> None:
        """Queues a message and returns at once. Does nothing for events that were not chosen."""
        if event not in self._events or self._closed:
            return
        try:
            self._queue.put_nowait((event, title, body))
        except queue.Full:
            self._warn(f"notification '{event}' was dropped: {_QUEUE_SIZE} others are still waiting to be sent")

    def close(self, timeout: float = 10.0) -> None:
        """Waits at most `timeout` seconds for queued messages. Drops the rest, with a warning."""
        if self._closed:
            return
        deadline = time.monotonic() + timeout
        with contextlib.suppress(queue.Full):  # the thread hangs in a send: the join below times out and warns
            self._queue.put(None, timeout=timeout)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._closed = True
        if self._thread.is_alive():
            self._warn(f"notifications were dropped after {timeout:g} s: a receiver does not answer")

    def _work(self) -> None:
        while (message := self._queue.get()) is not None and not self._closed:
            failed = [i for i in range(len(self._receivers)) if not self._deliver(i, message)]
            if failed and not self._closed:
                numbers = ", ".join(str(i + 1) for i in failed)
                self._warn(f"notification '{message[0]}' was not sent to receiver {numbers} of {len(self._receivers)}")

    def _deliver(self, index: int, message: tuple[str, str, str]) -> bool:
        """Sends a message in a separate thread, because a receiver that hangs can be abandoned but not stopped."""
        if index in self._busy and self._busy[index].is_alive():
            return False
        _, title, body = message
        results: list[bool] = []

        def send() -> None:
            try:
                results.append(bool(self._receivers[index].notify(body=body, title=title, body_format="text")))
            except Exception:  # apprise's plugins may raise anything, and the text may contain the address
                results.append(False)

        thread = threading.Thread(target=send, name="notifier-send", daemon=True)
        self._busy[index] = thread
        thread.start()
        thread.join(self._timeout)
        return results == [True]


def _receivers(url_env: str) -> list[Any]:
    try:
        import apprise
    except ImportError as error:
        raise ValueError(
            "user.notify.enabled=true needs the package apprise, which is not installed\n"
            'install it with: pip install "rlbot-trainer[notify]"'
        ) from error
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_silence)
    urls = [url.strip(",") for url in os.environ.get(url_env, "").split()]
    if not urls:
        raise ValueError(
            f"user.notify.url_env={url_env}: this environment variable is empty or not set\n"
            "set it to one or more apprise URLs separated by spaces, or use user.notify.enabled=false"
        )
    receivers = []
    for number, url in enumerate(urls, start=1):
        # apprise's own timeout is off: it uses a thread pool, for which Python would wait at exit
        receiver = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, service_timeout=0))
        if not receiver.add(url):
            raise ValueError(
                f"user.notify.url_env={url_env}: entry {number} of {len(urls)} is no URL that apprise knows\n"
                "see https://github.com/caronc/apprise for the forms (not shown here: it may hold a secret)"
            )
        receivers.append(receiver)
    return receivers


def _silence(record: logging.LogRecord) -> bool:
    return False
