"""The table of 90 actions against the rules that define it."""

import re
from typing import Any

import numpy as np
import pytest

from rlbot.env import ACTION_TABLE
from rlbot.env.action import choose_controls

THROTTLE, STEER, PITCH, YAW, ROLL, JUMP, BOOST, HANDBRAKE = ACTION_TABLE.T


def test_24_ground_rows_and_66_air_rows_all_different() -> None:
    assert ACTION_TABLE.shape == (90, 8) and ACTION_TABLE.dtype == np.float32
    assert len(np.unique(ACTION_TABLE, axis=0)) == 90
    ground = (PITCH == 0) & (ROLL == 0) & (JUMP == 0)
    assert ground[:24].all() and not ground[24:].any()
    assert set(np.unique(ACTION_TABLE)) == {-1.0, 0.0, 1.0} and ACTION_TABLE[:, 5:].min() == 0


def test_ground_rows() -> None:
    throttle, steer, yaw, boost, handbrake = (each[:24] for each in (THROTTLE, STEER, YAW, BOOST, HANDBRAKE))
    assert (yaw == steer).all() and (throttle[boost == 1] == 1).all()
    # every steer and handbrake: 3 throttles without boost, 1 with
    for s in (-1, 0, 1):
        for h in (0, 1):
            chosen = (steer == s) & (handbrake == h)
            assert sorted(zip(throttle[chosen], boost[chosen], strict=True)) == [(-1, 0), (0, 0), (1, 0), (1, 1)]


def test_air_rows() -> None:
    air = ACTION_TABLE[24:]
    throttle, steer, pitch, yaw, roll, jump, boost, handbrake = air.T
    assert (throttle == boost).all() and (steer == yaw).all() and not ((jump == 1) & (yaw != 0)).any()
    turning = (pitch != 0) | (yaw != 0) | (roll != 0)
    np.testing.assert_array_equal(handbrake, (jump == 1) & turning)
    assert (jump == 0).sum() == 48 and (jump == 1).sum() == 18  # 8 pitch-roll pairs x 3 yaws x 2, and 9 x 2
    np.testing.assert_array_equal(air[0], [0, -1, -1, -1, -1, 0, 0, 0])


def test_choices_are_rows_of_the_table() -> None:
    out = np.zeros((3, 8), np.float32)
    choose_controls([89, 0, 24], out)
    np.testing.assert_array_equal(out, ACTION_TABLE[[89, 0, 24]])
    choose_controls(np.int64(7), out[0])
    np.testing.assert_array_equal(out[0], ACTION_TABLE[7])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([0, 90], "actions=[0, 90]: must be whole numbers from 0 to 89, rows of ACTION_TABLE"),
        ([-1, 0], "actions=[-1, 0]: must be whole numbers from 0 to 89"),
        ([0.0, 1.0], "actions=[0.0, 1.0]: must be whole numbers from 0 to 89"),
        ([True, False], "actions=[True, False]: must be whole numbers from 0 to 89"),
        ([0], "actions of shape (1,): must be of shape (2,), the number of a row of ACTION_TABLE for each car"),
        (3, "actions=3: must be of shape (2,)"),
        (np.zeros((2, 8)), "actions of shape (2, 8): must be of shape (2,)"),
    ],
)
def test_choices_that_are_none_are_refused(choices: Any, message: str) -> None:
    out = np.full((2, 8), 0.5, np.float32)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        choose_controls(choices, out)
    assert (out == 0.5).all()
