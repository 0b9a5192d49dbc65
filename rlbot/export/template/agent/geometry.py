"""Directions of a car from its rotation, and whether its wheels touch the arena. World frame, uu, rad, seconds."""

from itertools import pairwise
from math import cos, sin, sqrt
from typing import TypeAlias

Vector: TypeAlias = tuple[float, float, float]
TICK = 1 / 120  # s of one frame of the game's physics

# The wheels of an Octane: where the suspension starts (forward, right), and how far below that the ground may be.
WHEELS = ((51.25, 25.9, 48.755), (51.25, -25.9, 48.755), (-33.75, 29.5, 49.555), (-33.75, -29.5, 49.555))
SUSPENSION_HEIGHT = 20.755

SIDE_WALL, BACK_WALL, CEILING = 4096.0, 5120.0, 2048.0
CORNER = 8064.0  # |x| + |y| at the walls across the corners
GOAL_WIDTH, GOAL_HEIGHT = 893.0, 643.0  # half of the width
# The curves between floor and wall and between wall and ceiling: (distance from the wall, height) of their edges.
LOWER = (
    (256.0, 0.0), (204.4, 5.2), (156.4, 20.1), (112.9, 43.8), (75.0, 75.0), (43.8, 112.9), (20.1, 156.4), (5.2, 204.4),
    (-10.0, 355.0),
)  # fmt: skip
UPPER = (
    (-11.3, 1423.8), (10.4, 1639.1), (40.3, 1735.2), (87.5, 1822.1), (150.1, 1897.9), (225.9, 1960.5), (312.8, 2007.7),
    (408.9, 2037.6), (624.3, 2059.3),
)  # fmt: skip


def _facets(edges: tuple[tuple[float, float], ...]) -> list[Vector]:
    """Returns (a, b, c) of each straight piece: a * distance + b * height + c is positive inside the field."""
    return [(h1 - h0, d0 - d1, d1 * h0 - d0 * h1) for (d0, h0), (d1, h1) in pairwise(edges)]


FACETS = _facets(LOWER) + _facets(UPPER)
REACH = max(distance for distance, _ in LOWER + UPPER)  # of the curves


def directions(pitch: float, yaw: float, roll: float) -> tuple[Vector, Vector, Vector]:
    """Returns forward, right and up of a car with RLBot's rotation."""
    cp, sp, cy, sy, cr, sr = cos(pitch), sin(pitch), cos(yaw), sin(yaw), cos(roll), sin(roll)
    return (
        (cp * cy, cp * sy, sp),
        (cy * sp * sr - cr * sy, sy * sp * sr + cr * cy, -cp * sr),
        (-cr * cy * sp - sr * sy, -cr * sy * sp + sr * cy, cp * cr),
    )


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def before(pos: Vector, vel: Vector, ang_vel: Vector, *axes: Vector) -> tuple[Vector, ...]:
    """Returns position and axes one tick ago."""
    wx, wy, wz = ang_vel
    moved = (pos[0] - vel[0] * TICK, pos[1] - vel[1] * TICK, pos[2] - vel[2] * TICK)
    turned = (
        (x - (wy * z - wz * y) * TICK, y - (wz * x - wx * z) * TICK, z - (wx * y - wy * x) * TICK) for x, y, z in axes
    )
    return moved, *turned


def on_ground(pos: Vector, forward: Vector, right: Vector, up: Vector) -> bool:
    """Whether at least three wheels of a car touch floor, walls or ceiling. The inside of the goals counts as floor
    only."""
    count = 0
    for ahead, aside, reach in WHEELS:
        x, y, z = (pos[i] + forward[i] * ahead + right[i] * aside + up[i] * SUSPENSION_HEIGHT for i in range(3))
        end = inside(x - up[0] * reach, y - up[1] * reach, z - up[2] * reach)
        count += not end and inside(x, y, z)
    return count >= 3


def inside(x: float, y: float, z: float) -> bool:
    """Whether a point is in the field."""
    if not 0 < z < CEILING:
        return False
    x, y = abs(x), abs(y)
    wall = min(SIDE_WALL - x, (CORNER - x - y) / sqrt(2.0))
    if x > GOAL_WIDTH or z > GOAL_HEIGHT:
        wall = min(wall, BACK_WALL - y)
    return wall > 0 and (wall > REACH or all(a * wall + b * z + c > 0 for a, b, c in FACETS))
