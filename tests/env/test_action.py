"""The table of 90 actions against the rules that define it."""

import numpy as np

from rlbot.env import ACTION_TABLE

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
