"""Starts of episodes: inside the field, apart from each other, in the shares asked for."""

import math
import random
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
import RocketSim
from numba import njit
from numpy.typing import NDArray

from rlbot.env.reset import RESETS, SPAWNS, draw
from rlbot.sim import find_meshes

HITBOX = np.array([120.507, 86.6994, 38.6591]) / 2  # of an Octane: half its length, width and height, uu
HITBOX_AT = np.array([13.8757, 0.0, 20.755])
CORNERS = HITBOX_AT + HITBOX * np.array(list(product((-1, 1), repeat=3)))  # (8, 3) on the car's own axes
BALL_RADIUS = 91.25


def quarter() -> NDArray[np.float64]:
    """The triangles (T, 3, 3) of the meshes at x, y >= 0, in uu; the field is the same in all four quarters."""
    parts = []
    for file in sorted((find_meshes() / "soccar").glob("*.cmf")):
        data = file.read_bytes()
        triangles, vertices = np.frombuffer(data, "<i4", 2)
        corners = np.frombuffer(data, "<i4", 3 * triangles, 8).reshape(-1, 3)
        points = np.frombuffer(data, "<f4", 3 * vertices, 8 + 12 * triangles).reshape(-1, 3)
        parts.append(points[corners] * 50.0)  # Bullet's units
    found = np.concatenate(parts)
    return found[(found[..., :2].max((1,)) > 1).all(1)]


@njit(cache=True)
def crossed(points, safe, triangles):  # type: ignore[no-untyped-def]
    """Whether the way from each of points (M, 3) to its point of safe (M, 3) goes through a triangle, by the test of
    Moeller and Trumbore (1997)."""
    found = np.zeros(len(points), np.bool_)
    low, high = np.empty((len(triangles), 3)), np.empty((len(triangles), 3))
    for t in range(len(triangles)):
        for i in range(3):
            low[t, i], high[t, i] = triangles[t, :, i].min(), triangles[t, :, i].max()
    for m in range(len(points)):
        start, way = points[m], safe[m] - points[m]
        for t in range(len(triangles)):
            apart = False
            for i in range(3):
                apart |= max(start[i], safe[m, i]) < low[t, i] or min(start[i], safe[m, i]) > high[t, i]
            if apart:
                continue
            one, two = triangles[t, 1] - triangles[t, 0], triangles[t, 2] - triangles[t, 0]
            across = np.cross(way, two)
            size = (one * across).sum()
            if abs(size) < 1e-9:
                continue
            beside = start - triangles[t, 0]
            u, second = (beside * across).sum() / size, np.cross(beside, one)
            v, at = (way * second).sum() / size, (two * second).sum() / size
            if u >= 0 and v >= 0 and u + v <= 1 and 0 <= at <= 1:
                found[m] = True
                break
    return found


def outside(points: NDArray[np.float64], triangles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of points (M, 3) are outside the field or inside a wall: behind a plane, or behind a triangle, seen from
    the nearest place that no wall is near."""
    x, y, z = np.abs(points[:, 0]), np.abs(points[:, 1]), points[:, 2]
    found = (x >= 4096) | (y >= 5120) | (z <= 0) | (z >= 2044)
    near = np.flatnonzero((x > 3600) | (y > 4200) | (x + y > 6900) | (z > 1400))
    folded = np.stack([x, y, z], 1)[near]
    inner = np.minimum(folded, [3600, 4200, 1400])
    inner[:, 0] -= np.maximum(inner[:, 0] + inner[:, 1] - 6900, 0)
    found[near] |= crossed(folded, inner, triangles)
    return found


def test_outside_knows_the_field() -> None:
    inside = [(0, 0, 1), (4090, 0, 1000), (3700, 0, 5), (0, 5100, 100), (2900, 5000, 1000), (3500, -4450, 1000)]
    beyond = [(4100, 0, 1000), (3895, -4390, 17), (4050, 9, 20), (2000, 5100, 30), (3600, 4500, 1000), (0, 0, 2050),
              (-4050, 1000, 2000), (1000, 5115, 20)]  # fmt: skip
    points = np.array(inside + beyond, float)
    assert outside(points, quarter()).tolist() == [False] * len(inside) + [True] * len(beyond)


def directions(radius: float) -> NDArray[np.float64]:
    """Points (26, 3) of a sphere."""
    ways = np.array([way for way in product((-1, 0, 1), repeat=3) if any(way)], float)
    return radius * ways / np.linalg.norm(ways, axis=1, keepdims=True)


def corners(pos: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 8, 3) of the hitboxes of cars at pos (M, 3), turned by angles (M, 3): yaw, pitch, roll."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles).T, np.sin(angles).T
    axes = np.array([
        [cp * cy, cp * sy, sp],
        [cy * sp * sr - cr * sy, sy * sp * sr + cr * cy, -cp * sr],
        [-cr * cy * sp - sr * sy, -cr * sy * sp + sr * cy, cp * cr],
    ])  # fmt: skip
    return pos[:, None] + np.einsum("ck,kim->mci", CORNERS, axes)


def test_corners_are_those_of_a_turned_car() -> None:
    angles = np.array([[0.4, -0.7, 2.0], [-2.0, 0.3, -0.5]])
    for row, found in zip(angles, corners(np.zeros((2, 3)), angles), strict=True):
        matrix = RocketSim.Angle(*row).as_rot_mat()
        axes = np.array([matrix.forward.as_tuple(), matrix.right.as_tuple(), matrix.up.as_tuple()])
        np.testing.assert_allclose(found, CORNERS @ axes, atol=1e-3)


@pytest.mark.parametrize("count", [400, pytest.param(200_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", sorted(RESETS))
def test_everything_starts_inside_the_field_and_apart(kind: str, count: int) -> None:
    """Ball and hitboxes against the field's planes and triangles, and against each other."""
    triangles = quarter()
    teams = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 3))
    for sizes in teams:
        starts = [RESETS[kind](random.Random(seed), sizes) for seed in range(count // len(teams))]
        balls = np.array([start.ball_pos for start in starts])
        assert not outside((balls[:, None] + directions(BALL_RADIUS)).reshape(-1, 3), triangles).any()
        cars = [car for start in starts for car in start.cars]
        assert all(0 <= car.boost <= 100 and math.hypot(*car.vel) <= 2300 for car in cars)
        pos = np.array([car.pos for car in cars])
        boxes = corners(pos, np.array([(car.yaw, car.pitch, car.roll) for car in cars]))
        wrong = np.flatnonzero(outside(boxes.reshape(-1, 3), triangles).reshape(-1, 8).any(1))
        assert not len(wrong), [(i // sum(sizes), cars[i]) for i in wrong[:5]]
        reach = np.linalg.norm(CORNERS, axis=1).max()
        places = pos.reshape(len(starts), sum(sizes), 3)
        assert np.linalg.norm(places - balls[:, None], axis=2).min() > BALL_RADIUS + reach
        for a, b in combinations(range(sum(sizes)), 2):
            assert np.linalg.norm(places[:, a] - places[:, b], axis=1).min() > 2 * reach


def test_a_shot_near_a_corner_starts_in_the_field() -> None:
    """It began at (3895, -4390, 17), outside the corner wall."""
    start = RESETS["shot"](random.Random(55785), (1, 1))
    boxes = corners(np.array([car.pos for car in start.cars]), np.array([(car.yaw, 0, 0) for car in start.cars]))
    assert not outside(boxes.reshape(-1, 3), quarter()).any()


def test_kickoff_takes_the_official_spawns_and_is_fair() -> None:
    real = RocketSim.RLConst.CAR_SPAWN_LOCATIONS_SOCCAR
    np.testing.assert_allclose(SPAWNS, real, atol=1e-5)
    rng, used = random.Random(1), Counter()
    for _ in range(200):
        cars = RESETS["kickoff"](rng, (2, 2)).cars
        for blue, orange in ((cars[0], cars[2]), (cars[1], cars[3])):
            assert orange.pos == (-blue.pos[0], -blue.pos[1], 17.0)
            assert math.isclose(orange.yaw - blue.yaw, math.pi)
        used[cars[0].pos] += 1
        assert cars[0].pos != cars[1].pos
    assert len(used) == 5


def test_the_mix_is_drawn_by_its_weights() -> None:
    rng = np.random.default_rng(2)
    balls = [draw(rng, {"kickoff": 3.0, "airborne": 1.0, "anywhere": 0.0}, (1, 1)).ball_pos for _ in range(2000)]
    kickoffs = sum(ball == (0.0, 0.0, 93.15) for ball in balls)
    assert abs(kickoffs / 2000 - 0.75) < 0.04  # four standard deviations
