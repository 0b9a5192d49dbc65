"""Starts of episodes: inside the field, apart from each other, in the shares asked for."""

import math
import random
from collections import Counter

import numpy as np
import pytest
import RocketSim

from rlbot.env.reset import RESETS, SPAWNS, draw


@pytest.mark.parametrize("kind", sorted(RESETS))
def test_everything_starts_inside_the_field_and_apart(kind: str) -> None:
    rng = random.Random(0)
    for _ in range(200):
        start = RESETS[kind](rng, [0, 1, 2, 3])
        points = [start.ball_pos, *(car.pos for car in start.cars)]
        for x, y, z in points:
            assert abs(x) < 4096 and abs(y) < 5120 and 16 < z < 2044 and abs(x) + abs(y) < 8064
        gaps = [math.dist(a, b) for i, a in enumerate(points) for b in points[:i]]
        assert min(gaps) > 150, gaps
        assert all(0 <= car.boost <= 100 for car in start.cars)
        assert all(math.hypot(*car.vel) <= 2300 for car in start.cars)


def test_kickoff_takes_the_official_spawns_and_is_fair() -> None:
    real = RocketSim.RLConst.CAR_SPAWN_LOCATIONS_SOCCAR
    np.testing.assert_allclose(SPAWNS, real, atol=1e-5)
    rng, used = random.Random(1), Counter()
    for _ in range(200):
        cars = RESETS["kickoff"](rng, [0, 1, 2, 3]).cars
        for blue, orange in ((cars[0], cars[2]), (cars[1], cars[3])):
            assert orange.pos == (-blue.pos[0], -blue.pos[1], 17.0)
            assert math.isclose(orange.yaw - blue.yaw, math.pi)
        used[cars[0].pos] += 1
        assert cars[0].pos != cars[1].pos
    assert len(used) == 5


def test_the_mix_is_drawn_by_its_weights() -> None:
    rng = np.random.default_rng(2)
    balls = [draw(rng, {"kickoff": 3.0, "airborne": 1.0, "anywhere": 0.0}, [0, 2]).ball_pos for _ in range(2000)]
    kickoffs = sum(ball == (0.0, 0.0, 93.15) for ball in balls)
    assert abs(kickoffs / 2000 - 0.75) < 0.04  # four standard deviations
