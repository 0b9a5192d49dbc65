"""Where the ball is going: the one place that decides what is a shot and what is a save, from positions and velocities
alone, so that it is the same in every physics engine.

RocketSim has counts of its own, which leave out most of what people call a shot: they ask for 1750 uu/s, and for the
ball to be still on its way some ticks after the touch.
"""

import math

from numba import njit

GRAVITY = 650.0  # uu/s^2
DRAG = 0.03  # of the ball's speed, a second
BOUNCE = 0.6  # of its vertical speed, off the floor
FRICTION = 0.35  # of the floor
ROLLING = 5 / 7  # of its speed is left to a ball that slid without spin once it rolls
BALL_RADIUS = 91.25
CEILING, GOAL_LINE = 2044.0, 5120.0
# Where the middle of a ball may be that goes in without a post or the bar; half of the goal is 892.755 uu wide, and
# it is 642.775 uu high.
GOAL_X, GOAL_Z = 892.755 - BALL_RADIUS, 642.775 - BALL_RADIUS
SECONDS = 3.0  # what takes longer is in nobody's goal yet
TICK = 1 / 60
KEPT = 1.0 - DRAG * TICK


@njit(cache=True)
def heading_into(pos, vel):  # type: ignore[no-untyped-def]
    """The goal that a ball flies or rolls into within SECONDS if nobody touches it: 1 the one at y > 0, -1 that at
    y < 0, 0 neither. Gravity, drag and the floor count; a ball that meets a wall, a post or the ceiling does not."""
    sign = 1 if vel[1] > 0 else -1
    way, speed_y = GOAL_LINE - float(pos[1]) * sign, abs(float(vel[1]))
    z, vz = float(pos[2]), float(vel[2])
    if way <= 0:
        return sign if abs(pos[0]) <= GOAL_X and z <= GOAL_Z else 0
    if (
        way > speed_y * SECONDS or abs(pos[0] + vel[0] * (way / speed_y)) > GOAL_X
    ):  # seen from above its way is straight
        return 0
    step = speed_y * TICK
    scrape = FRICTION * (1.0 + BOUNCE) / math.hypot(vel[0], vel[1])
    left = 1.0  # of its speed along the floor
    for _ in range(int(SECONDS / TICK)):
        left, vz = left * KEPT, vz * KEPT - GRAVITY * TICK
        way, z = way - step * left, z + vz * TICK
        if z < BALL_RADIUS and vz < 0:
            left = max(left + scrape * vz, min(ROLLING, left))
            z, vz = BALL_RADIUS, -BOUNCE * vz
        if z > CEILING - BALL_RADIUS:
            return 0
        if way <= 0:
            return sign if z <= GOAL_Z else 0
    return 0


@njit(cache=True)
def headed(arena0, arena):  # type: ignore[no-untyped-def]
    """(before, after) a step: the goal that the ball was and is on its way into, as in `heading_into`. One that it has
    gone into in this step is where it is going."""
    before = heading_into(arena0.ball_pos, arena0.ball_vel)
    goal = int(arena.blue_score > arena0.blue_score) - int(arena.orange_score > arena0.orange_score)
    return before, goal if goal != 0 else heading_into(arena.ball_pos, arena.ball_vel)
