"""What a user put into the environment is written nowhere."""

import http.server
import threading
from pathlib import Path

import pytest

from tests.launching import Launch


class Receiver(http.server.BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
def test_the_addresses_of_notifications_are_on_no_disk_and_no_console(launch: Launch, tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    Receiver.bodies = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    secret = "s3cr3t-t0ken-of-mine"
    urls = [
        f"json://user:{secret}@127.0.0.1:{server.server_port}/{secret}",
        f"json://{secret}:{secret}@127.0.0.1:1/{secret}",  # nobody listens there
    ]
    run = launch("experiment=debug", "total_timesteps=600", "hardware.threads=1", "user.notify.enabled=true",
        "user.notify.events=[start,checkpoint,end]", "debug=true", RLBOT_NOTIFY_URLS=" ".join(urls),
    )  # fmt: skip
    assert run.status() == 0
    server.shutdown()
    assert len(Receiver.bodies) >= 3 and run.having("was not sent to receiver 2 of 2")
    assert run.having(secret) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 15
    assert [path for path in files if secret.encode() in path.read_bytes() or secret in str(path)] == []
