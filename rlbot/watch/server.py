"""A small web server for the viewer: a fixed set of files, states as server-sent events, commands as JSON.

Only these files are served, whatever the path of a request is. Requests that name another host, or come from another
site, are refused, so that a site on the internet cannot reach the server through the user's browser.
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
_HEARTBEAT = 5.0  # s without an event, after which a comment is sent, to notice closed connections
_QUEUE_SIZE = 300  # events; a browser that is further behind is disconnected
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'"

Events = queue.Queue[tuple[str, Any] | None]


class Source(Protocol):
    """A live match, as the server sees it."""

    def listen(self) -> Events:
        """Returns the queue of a new listener, with entries (event name, document for JSON); None ends the stream."""

    def leave(self, events: Events) -> None:
        """Removes a listener."""

    def command(self, command: Mapping[str, Any]) -> None:
        """Executes a command. Raises ValueError if it is not valid."""


def new_queue() -> Events:
    return queue.Queue(_QUEUE_SIZE)


@dataclass(frozen=True)
class Content:
    """Everything that is served: `files` by path, as (media type, content), and the live match, if there is one."""

    files: Mapping[str, tuple[str, bytes]]
    source: Source | None = None


class Server(ThreadingHTTPServer):
    """Serves `content` at (host, port); port 0 means any free port. Raises ValueError if the port is taken, or if this
    machine does not have the address."""

    daemon_threads = True
    allow_reuse_address = False  # with True, two programs on Windows could use the same port

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
        """Ignores errors: a browser may close the connection at any time."""


@contextmanager
def serving(content: Content, host: str, port: int) -> Iterator[Server]:
    """Serves `content` in threads until the end of the block."""
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
        if self.headers.get_content_type() != "application/json":  # the form of another site cannot send this type
            return self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if not length.isdecimal() or int(length) > _LONGEST_COMMAND:
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            command = json.loads(self.rfile.read(int(length)))
            if not isinstance(command, dict):
                raise ValueError("not an object")
            source.command(command)
        except (ValueError, RecursionError) as error:
            return self._answer(HTTPStatus.BAD_REQUEST, str(error).encode("ascii", "backslashreplace"))
        return self._answer(HTTPStatus.NO_CONTENT)

    def _is_ours(self) -> bool:
        """Whether a request names this server and does not come from another site; if not, it is refused."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        if host.lower() in self._names() and origin in (None, f"http://{host}"):
            return True
        self.close_connection = True
        self._answer(HTTPStatus.FORBIDDEN, b"this server does not answer other sites")
        return False

    def _names(self) -> set[str]:
        """The names under which a browser may reach this server. Others are refused: anybody can point a domain name at
        this address."""
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
                    event = events.get(timeout=_HEARTBEAT)
                except queue.Empty:
                    self.wfile.write(b": heartbeat\n\n")
                    continue
                if event is None:
                    return
                name, document = event
                self.wfile.write(f"event: {name}\ndata: {json.dumps(document, allow_nan=False)}\n\n".encode())
        except OSError:
            pass  # the browser has closed the connection
        finally:
            source.leave(events)

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing for a request."""
