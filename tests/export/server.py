"""A stand-in for RLBot's server: the same messages over the same kind of socket, to one bot in a process of its own."""

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.export.template.agent.recording import field_info

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings it
    import tomli as tomllib

flat: Any = pytest.importorskip("rlbot_flatbuffers", reason="RLBot's messages are not installed: x86-64 only, no macOS")
PATIENCE = 60.0  # s until a test gives up; long, because the machine may be busy
ORDERS = (("config", "field", "team"), ("team", "field", "config"), ("field", "team", "config"))


class Server:
    """Starts the bot of a folder as RLBot does, connects it, sends packets and collects controls."""

    def __init__(self, folder: Path, player_id: int, team: int, pads: list[tuple[float, float, float]]) -> None:
        """`pads`: x, y, cooldown of the match's pads, in the packets' order."""
        self.player_id, self.team, self.pads = player_id, team, pads
        self.log = folder.parent / f"{folder.name}.log"
        self.inputs: queue.Queue[NDArray[np.float32] | None] = queue.Queue()  # None: the bot has disconnected
        self.indices: set[int] = set()  # that the bot has used for itself
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        settings = tomllib.loads((folder / "bot.toml").read_text(encoding="utf-8"))["settings"]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(
            settings["run_command" if sys.platform == "win32" else "run_command_linux"],
            shell=True,
            cwd=folder,
            env={
                **environment,
                "RLBOT_AGENT_ID": settings["agent_id"],
                "RLBOT_SERVER_PORT": str(self._listener.getsockname()[1]),
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def shake_hands(self, order: Sequence[str] = ORDERS[0]) -> flat.ConnectionSettings:
        """Connects until the bot is ready; `order` is that of the three messages that it waits for."""
        deadline = time.monotonic() + PATIENCE
        self._listener.settimeout(0.1)
        while True:
            try:
                self._socket, _ = self._listener.accept()
                break
            except TimeoutError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.text()
        self._socket.settimeout(PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = self._receive()
        assert isinstance(settings, flat.ConnectionSettings), settings
        others = [  # the players of a match have no particular order
            flat.PlayerConfiguration(flat.CustomBot(name="other"), 1 - self.team, self.player_id + 1),
            flat.PlayerConfiguration(flat.CustomBot(name="tested"), self.team, self.player_id),
        ]
        messages = {
            "config": flat.MatchConfiguration(player_configurations=others),
            "field": field_info(flat, self.pads),
            "team": flat.ControllableTeamInfo(self.team, [flat.ControllableInfo(index=1, identifier=self.player_id)]),
        }
        for name in order:
            self.send(messages[name])
        while not isinstance(self._receive(), flat.InitComplete):
            pass
        threading.Thread(target=self._collect, daemon=True).start()
        return settings

    def send(self, message: Any) -> None:
        data = flat.CorePacket(message).pack()
        self._socket.sendall(len(data).to_bytes(2, "big") + data)

    def exchange(self, packet: flat.GamePacket) -> NDArray[np.float32]:
        """Sends a packet and waits for the bot's controls (8,)."""
        self.send(packet)
        answer = self.inputs.get(timeout=PATIENCE)
        assert answer is not None, self.text()
        return answer

    def newest(self, held: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the newest controls without waiting, or `held` if there are none."""
        while True:
            try:
                answer = self.inputs.get_nowait()
            except queue.Empty:
                return held
            assert answer is not None, self.text()
            held = answer

    def hang_up(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def status(self) -> int:
        """Waits for the end of the bot."""
        return self.process.wait(PATIENCE)

    def text(self) -> str:
        """Returns what the bot has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """Ends the server and the bot."""
        if hasattr(self, "_socket"):
            self._socket.close()
        self._listener.close()
        if self.process.poll() is None:
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()

    def _receive(self) -> Any:
        size = int.from_bytes(self._exactly(2), "big")
        return flat.InterfacePacket.unpack(self._exactly(size)).message

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError(self.text())
            data += more
        return data

    def _collect(self) -> None:
        try:
            while True:
                message = self._receive()
                if isinstance(message, flat.PlayerInput):
                    self.indices.add(message.player_index)
                    told = message.controller_state
                    row = [told.throttle, told.steer, told.pitch, told.yaw, told.roll]
                    self.inputs.put(np.array([*row, told.jump, told.boost, told.handbrake], np.float32))
        except (EOFError, OSError, ValueError):
            self.inputs.put(None)
