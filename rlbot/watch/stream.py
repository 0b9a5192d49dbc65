"""Sends the states of a match to RocketSimVis, a viewer for RocketSim: one UDP datagram of JSON for each state."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.recording import Recording
from rlbot.sim import PAD_POSITION, State

ADDRESS = ("127.0.0.1", 9273)
_PAD_Z = 70.0  # uu


class RocketSimVis:
    """Sends states to a RocketSimVis on this machine. It is no error if none is running."""

    def __init__(self, address: tuple[str, int] = ADDRESS) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._address = address

    def show(self, state: State, arena: int = 0) -> None:
        """Sends the state of one arena."""
        with suppress(OSError):  # Windows reports that no program receives the datagrams
            self._socket.sendto(json.dumps(document(state, arena)).encode(), self._address)

    def __enter__(self) -> "RocketSimVis":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@contextmanager
def playing(recording: Recording, address: tuple[str, int] = ADDRESS) -> Iterator[None]:
    """Sends a recording in real time, again and again, until the end of the block."""
    ended = threading.Event()
    states, seconds = recording.states, recording.ticks / recording.header["tick_rate"]

    def play(visualiser: RocketSimVis) -> None:
        while not ended.wait(0.5):
            began = time.monotonic()
            for t in range(len(recording)):
                if ended.wait(max(seconds[t] - seconds[0] - (time.monotonic() - began), 0)):
                    return
                visualiser.show(states, t)

    with RocketSimVis(address) as visualiser:
        thread = threading.Thread(target=play, args=(visualiser,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def document(state: State, arena: int = 0) -> dict[str, Any]:
    """Returns the state of one arena in the format of RocketSimVis: uu, uu/s, rad/s; boost from 0 to 1."""
    flipped = (state.car_has_flipped > 0) | (state.car_has_double_jumped > 0)
    cars = [
        {
            "team_num": slot // state.team_slots,
            "phys": {
                "pos": _list(state.car_pos[arena, slot]),
                "forward": _list(state.car_forward[arena, slot]),
                "up": _list(state.car_up[arena, slot]),
                "vel": _list(state.car_vel[arena, slot]),
                "ang_vel": _list(state.car_ang_vel[arena, slot]),
            },
            "boost_amount": float(state.car_boost[arena, slot]) / 100,
            "on_ground": bool(state.car_on_ground[arena, slot]),
            "has_flipped_or_double_jumped": bool(flipped[arena, slot]),
            "is_demoed": bool(state.car_is_demoed[arena, slot]),
        }
        for slot in np.flatnonzero(state.present[arena]).tolist()
    ]
    ball = {"pos": state.ball_pos[arena], "vel": state.ball_vel[arena], "ang_vel": state.ball_ang_vel[arena]}
    return {
        "ball_phys": {name: _list(values) for name, values in ball.items()},
        "cars": cars,
        "boost_pad_locations": [[*position, _PAD_Z] for position in PAD_POSITION.tolist()],
        "boost_pad_states": [bool(timer <= 0) for timer in state.pad_timer[arena]],
    }


def _list(values: NDArray[np.float32]) -> list[float]:
    return [float(value) for value in values]
