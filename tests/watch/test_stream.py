"""What RocketSimVis is sent."""

import json
import socket
from typing import Any

import numpy as np
import pytest

from rlbot.sim import PAD_POSITION
from rlbot.watch.stream import RocketSimVis, playing
from tests.recording.test_recording import played


@pytest.fixture
def listener() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        yield listener


def test_a_state_is_a_datagram(listener: socket.socket) -> None:
    match = played(seconds=1.0)
    match.states.pad_timer[3, 7] = 2.5
    with RocketSimVis(listener.getsockname()) as visualiser:
        visualiser.show(match.states, 3)
    document = json.loads(listener.recv(65_536))
    np.testing.assert_allclose(document["ball_phys"]["pos"], match.states.ball_pos[3])
    assert set(document["ball_phys"]) == {"pos", "vel", "ang_vel"}
    assert [car["team_num"] for car in document["cars"]] == [0, 0, 1, 1]
    car = document["cars"][2]
    np.testing.assert_allclose(car["phys"]["forward"], match.states.car_forward[3, 2])
    assert car["boost_amount"] == pytest.approx(match.states.car_boost[3, 2] / 100) and 0 <= car["boost_amount"] <= 1
    assert car["on_ground"] in (True, False) and car["is_demoed"] is False
    assert document["boost_pad_locations"][7] == [*PAD_POSITION[7].tolist(), 70.0]
    assert [i for i, there in enumerate(document["boost_pad_states"]) if not there] == [7]


def test_a_recording_is_sent_at_its_pace_and_again(listener: socket.socket) -> None:
    match = played(seconds=0.5)
    with playing(match, listener.getsockname()):
        seen = [json.loads(listener.recv(65_536))["ball_phys"]["pos"] for _ in range(len(match) + 1)]
    np.testing.assert_allclose(seen[-2], match.states.ball_pos[-1])
    np.testing.assert_allclose(seen[-1], match.states.ball_pos[0])


def test_it_is_no_error_if_no_program_receives_states() -> None:
    with RocketSimVis(("127.0.0.1", 9)) as visualiser:
        for _ in range(3):
            visualiser.show(played(seconds=0.1).states)
