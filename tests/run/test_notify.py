import http.server
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlbot.run.notify import Notifier

VARIABLE = "RLBOT_TEST_URLS"
SECRET = "s3cr3tt0ken"


@pytest.fixture
def server():
    """A real HTTP server on the loopback interface; `received` holds (path, document) of every request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.received.append((self.path, json.loads(body)))
            self.send_response(500 if "broken" in self.path else 200)
            self.end_headers()

        def log_message(self, *arguments):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.received = []
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def hanging_port():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def notifier(monkeypatch, warnings, *ports, path=SECRET, **options):
    urls = " ".join(f"json://user:{SECRET}@127.0.0.1:{port}/{path}" for port in ports)
    monkeypatch.setenv(VARIABLE, urls)
    return Notifier(VARIABLE, ["start", "end"], warnings.append, **options)


def test_chosen_events_are_delivered_in_order_to_every_receiver(server, monkeypatch):
    warnings: list[str] = []
    port = server.server_address[1]
    sender = notifier(monkeypatch, warnings, port, port)
    sender.send("start", "Run started", "1v1 <self> & more")
    sender.send("checkpoint", "not chosen", "")
    sender.send("end", "Run ended", "5000000 timesteps")
    sender.close()
    sent = [(path, document["title"], document["message"]) for path, document in server.received]
    first, last = ("Run started", "1v1 <self> & more"), ("Run ended", "5000000 timesteps")
    assert sent == [(f"/{SECRET}", *message) for message in (first, first, last, last)]
    assert warnings == []
    sender.send("end", "after close", "")
    sender.close()
    assert len(server.received) == 4


@pytest.mark.parametrize("kind", ["closed port", "server error", "hanging server"])
def test_a_failure_is_one_warning_line_and_leaks_nothing(
    server, hanging_port, monkeypatch, capfd, caplog, tmp_path, kind
):
    good = server.server_address[1]
    bad = {"closed port": closed_port(), "server error": good, "hanging server": hanging_port}[kind]
    path = f"{SECRET}/broken" if kind == "server error" else SECRET
    ports = [bad] if kind == "server error" else [bad, good]
    root = logging.getLogger()
    handler = logging.FileHandler(tmp_path / "everything.log")  # what a command's log file would get
    root.addHandler(handler)
    caplog.set_level(logging.DEBUG)
    warnings: list[str] = []
    try:
        sender = notifier(monkeypatch, warnings, *ports, path=path, timeout=1.5 if kind == "hanging server" else 30.0)
        sender.send("end", "Run ended", "body")
        sender.close()
    finally:
        root.removeHandler(handler)
        handler.close()
    assert warnings == [f"notification 'end' was not sent to receiver 1 of {len(ports)}"]
    if kind != "server error":
        assert [document["title"] for _, document in server.received] == ["Run ended"]
    output = capfd.readouterr()
    for text in (*warnings, output.out, output.err, caplog.text, (tmp_path / "everything.log").read_text()):
        assert SECRET not in text
        assert "127.0.0.1" not in text


def test_send_never_waits_and_close_waits_a_bounded_time(hanging_port, monkeypatch):
    warnings: list[str] = []
    sender = notifier(monkeypatch, warnings, hanging_port, timeout=60.0)
    began = time.monotonic()
    for _ in range(20):
        sender.send("end", "title", "body")
    assert time.monotonic() - began < 1.0
    assert 3 <= len(warnings) <= 4
    assert all("'end' was dropped: 16 others" in line for line in warnings)
    warnings.clear()
    began = time.monotonic()
    sender.close(timeout=0.3)
    assert 0.2 < time.monotonic() - began < 3.0
    assert warnings == ["notifications were dropped after 0.3 s: a receiver does not answer"]


def test_a_hanging_receiver_does_not_hold_up_the_end_of_the_process(hanging_port):
    # rto: apprise itself would wait for an answer for 30 s
    script = (
        "from rlbot.run.notify import Notifier\n"
        f"sender = Notifier('{VARIABLE}', ['end'], lambda line: print(line), timeout=30.0)\n"
        "sender.send('end', 'title', 'body'); sender.close(timeout=0.3)\n"
    )
    root = str(Path(__file__).parents[2])
    url = f"json://127.0.0.1:{hanging_port}/{SECRET}?rto=30"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": root, VARIABLE: url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert time.monotonic() - began < 15.0
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "notifications were dropped after 0.3 s: a receiver does not answer\n"


def test_missing_package_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ValueError, match=r"pip install .rlbot-trainer\[notify\]"):
        Notifier(VARIABLE, ["end"], print)


def test_missing_or_wrong_addresses_are_refused_without_showing_them(monkeypatch, capfd):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"user.notify.url_env={VARIABLE}: .* empty or not set"):
        Notifier(VARIABLE, ["end"], print)
    monkeypatch.setenv(VARIABLE, f"json://127.0.0.1:1, nosuch://{SECRET}")
    with pytest.raises(ValueError, match="entry 2 of 2 is no URL that apprise knows") as caught:
        Notifier(VARIABLE, ["end"], print)
    output = capfd.readouterr()
    assert SECRET not in str(caught.value) + output.out + output.err
