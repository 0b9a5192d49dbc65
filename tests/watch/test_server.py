"""The server gives its files and the match, and nothing to anybody who has no business with it."""

import http.client
import json
import queue
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rlbot.watch.server import Content, Events, Server, new_queue, serving


class Source:
    """A match of two events."""

    def __init__(self) -> None:
        self.commands: list[Mapping[str, Any]] = []
        self.listeners: list[Events] = []

    def listen(self) -> Events:
        events = new_queue()
        events.put(("header", {"name": "<b>"}))
        events.put(("frame", {"tick": 8}))
        events.put(None)
        self.listeners.append(events)
        return events

    def leave(self, events: Events) -> None:
        self.listeners.remove(events)

    def command(self, command: Mapping[str, Any]) -> None:
        if "paused" not in command:
            raise ValueError("no such command: \u00e9")
        self.commands.append(command)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def server(source: Source) -> Iterator[Server]:
    files = {"/": ("text/html", b"page"), "/arena.bin": ("application/octet-stream", b"\0" * 100_000)}
    with serving(Content(files, source), "127.0.0.1", 0) as server:
        yield server


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def command(server: Server, body: bytes, **headers: str) -> int:
    return ask(server, "POST", "/command", body, **({"Content_Type": "application/json"} | headers))[0]


def test_files(server: Server) -> None:
    status, data, headers = ask(server, "GET", "/")
    assert (status, data) == (200, b"page") and headers["Content-Type"] == "text/html"
    assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(server, "GET", "/arena.bin?x=1")[1] == b"\0" * 100_000
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml", "/%2e%2e/pyproject.toml", "/etc/passwd", "//etc/passwd", "/arena.bin/..",
        "/page/viewer.js", "/rlbot/watch/server.py", "/.", "/index.html\0", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_no_other_path_is_served(server: Server, path: str) -> None:
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:  # as it is, unnormalised
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_address[1]}\r\n\r\n".encode())
        assert int(connection.recv(200).split()[1]) in (400, 404, 414)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
    ],
)
def test_foreign_hosts_and_origins_are_refused(
    server: Server, source: Source, method: str, headers: dict[str, str]
) -> None:
    for path in ("/", "/events", "/command"):
        status, data, _ = ask(server, method, path, b'{"paused": true}', Content_Type="application/json", **headers)
        assert status == 403 and data != b"page"
    assert source.commands == [] and source.listeners == []


def test_its_own_page_is_not_refused(server: Server, source: Source) -> None:
    port = server.server_address[1]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert command(server, b'{"paused": true}', Host=host, Origin=f"http://{host}") == 204
    assert source.commands == [{"paused": True}] * 3


def test_commands_are_small_json_objects(server: Server, source: Source) -> None:
    assert command(server, b'{"paused": false}') == 204
    for body in (b"", b"[]", b"1", b"{", b"\xff", b'{"other": 1}', b"[" * 900):
        assert command(server, body) == 400, body
    assert command(server, b" " * 1001) == 413
    assert command(server, b'{"paused": true}', Content_Length="-1") == 413
    assert command(server, b'{"paused": true}', Content_Type="text/plain") == 415
    assert ask(server, "POST", "/", b"{}", Content_Type="application/json")[0] == 404
    assert ask(server, "PUT", "/command", b"{}")[0] == 501
    assert source.commands == [{"paused": False}]


def test_states_are_sent_as_events(server: Server, source: Source) -> None:
    status, data, headers = ask(server, "GET", "/events")
    assert status == 200 and headers.get_content_type() == "text/event-stream"
    events = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in data.decode().split("\n\n") if block
    ]
    assert [(event["event"], json.loads(event["data"])) for event in events] == [
        ("header", {"name": "<b>"}), ("frame", {"tick": 8}),
    ]  # fmt: skip
    assert source.listeners == []


def test_a_recording_has_no_events(server: Server) -> None:
    with serving(Content({"/": ("text/html", b"page")}), "127.0.0.1", 0) as still:
        assert ask(still, "GET", "/events")[0] == 404 and command(still, b'{"paused": true}') == 404


def test_a_taken_port_is_an_error(server: Server) -> None:
    with (
        pytest.raises(ValueError, match=r"watch\.port=\d+: .* in use"),
        serving(Content({}), "127.0.0.1", server.server_address[1]),
    ):
        pass


def test_a_queue_that_is_not_read_is_bounded() -> None:
    events = new_queue()
    while not events.full():
        events.put_nowait(("frame", {}))
    assert events.qsize() < 1000
    with pytest.raises(queue.Full):
        events.put_nowait(("frame", {}))
