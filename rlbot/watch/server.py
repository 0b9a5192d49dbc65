"""A small web server for the page: a fixed set of files, states as server-sent events, wishes as JSON.

Nothing but these files is served, whatever path is asked for. Requests that name another host, or come from another
page, are refused: a site on the internet must not reach the server through the browser of who watches.
"""

import ipaddress
import json
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

_LONGEST_COMMAND = 1000  # bytes
_BEAT = 5.0  # s without an event, after which it is seen whether anybody listens still
_WAITING = 300  # events that a slow browser may be behind before it is let go
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'"

Events = queue.Queue[tuple[str, Any] | None]


class Source(Protocol):
    """A live match, as the server sees it."""

    def listen(self) -> Events:
        """A queue of its own for one listener: (event, JSON-able document); None ends it."""

    def leave(self, events: Events) -> None:
        """The listener is gone."""

    def command(self, wish: Mapping[str, Any]) -> None:
        """Raises ValueError for a wish that means nothing."""


def new_queue() -> Events:
    return queue.Queue(_WAITING)


@dataclass(frozen=True)
class Content:
    """All that is served: `files` by path, as (type, content), and the match that is played, if there is one."""

    files: Mapping[str, tuple[str, bytes]]
    source: Source | None = None


class Server(ThreadingHTTPServer):
    """Serves `content` at (host, port); port 0 takes any that is free. Raises ValueError if the port is taken, or the
    address is none of this machine's."""

    daemon_threads = True
    allow_reuse_address = False  # on Windows it would let two programs have the same port

    def __init__(self, content: Content, host: str, port: int) -> None:
        self.content = content
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ValueError(f"watch.host={host}, watch.port={port}: {error.strerror or error}") from error

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), int(self.server_address[1])
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = socket.gethostname()
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is nothing to report."""


@contextmanager
def serving(content: Content, host: str, port: int) -> Iterator[Server]:
    """A server that answers in threads of its own until the end of the block."""
    server = Server(content, host, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "rlbot.watch", ""
    timeout = 60

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._is_ours():
            return
        if path == "/events" and self.server.content.source is not None:
            self._stream(self.server.content.source)
        elif path in self.server.content.files:
            kind, content = self.server.content.files[path]
            self._answer(HTTPStatus.OK, content, kind)
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self._is_ours():
            return
        source = self.server.content.source
        if urlsplit(self.path).path != "/command" or source is None:
            return self._answer(HTTPStatus.NOT_FOUND)
        if self.headers.get_content_type() != "application/json":  # what a form of another page cannot send
            return self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if not length.isdecimal() or int(length) > _LONGEST_COMMAND:
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            wish = json.loads(self.rfile.read(int(length)))
            if not isinstance(wish, dict):
                raise ValueError("not an object")
            source.command(wish)
        except (ValueError, RecursionError) as error:
            return self._answer(HTTPStatus.BAD_REQUEST, str(error).encode("ascii", "backslashreplace"))
        return self._answer(HTTPStatus.NO_CONTENT)

    def _is_ours(self) -> bool:
        """Whether the request names this server and does not come from another page; else it is refused."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        if host.lower() in self._names() and origin in (None, f"http://{host}"):
            return True
        self.close_connection = True
        self._answer(HTTPStatus.FORBIDDEN, b"this address is not served to other pages")
        return False

    def _names(self) -> set[str]:
        """What a browser may call this server: a name of its own choice could be anybody's."""
        address, port = self.connection.getsockname()[:2]
        names = {f"[{address}]" if ":" in address else address}
        if ipaddress.ip_address(address).is_loopback:
            names.add("localhost")
        else:
            names.add(socket.gethostname().lower())
        return {f"{name}:{port}" for name in names} | (names if port == 80 else set())

    def _answer(self, status: HTTPStatus, content: bytes = b"", kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self._headers(kind)
        if status >= HTTPStatus.BAD_REQUEST:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _headers(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")

    def _stream(self, source: Source) -> None:
        self.send_response(HTTPStatus.OK)
        self._headers("text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        events = source.listen()
        try:
            while True:
                try:
                    event = events.get(timeout=_BEAT)
                except queue.Empty:
                    self.wfile.write(b": nothing new\n\n")
                    continue
                if event is None:
                    return
                name, document = event
                self.wfile.write(f"event: {name}\ndata: {json.dumps(document, allow_nan=False)}\n\n".encode())
        except OSError:
            pass  # the browser is gone
        finally:
            source.leave(events)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not worth a line."""
