"""Whether the ball is heading into a goal. Shots and saves, in counts and in rewards, are decided by this alone.

It uses only positions and velocities, so it is the same in every physics engine. RocketSim counts shots too, but misses
most of what people call a shot: it requires 1750 uu/s, and that the ball still heads into the goal some ticks later.
"""

import math

from numba import njit

GRAVITY = 650.0  # uu/s^2
DRAG = 0.03  # of the ball's speed, a second
BOUNCE = 0.6  # of its vertical speed, off the floor
FRICTION = 0.35  # of the floor
ROLLING = 5 / 7  # of a sliding ball's speed is left once it rolls
BALL_RADIUS = 91.25
CEILING, GOAL_LINE = 2044.0, 5120.0
# Largest |x| and z of the center of a ball that enters the goal without touching a post or the bar. Half of the goal is
# 892.755 uu wide; it is 642.775 uu high.
GOAL_X, GOAL_Z = 892.755 - BALL_RADIUS, 642.775 - BALL_RADIUS
SECONDS = 3.0  # a ball that needs longer does not count as heading into a goal
TICK = 1 / 60
KEPT = 1.0 - DRAG * TICK


@njit(cache=True)
def heading_into(pos, vel):  # type: ignore[no-untyped-def]
    """The goal that the ball enters within SECONDS if nobody touches it: 1 for the goal at y > 0, -1 for the goal at
    y < 0, 0 for none. Gravity, drag and the floor are computed; a ball that would meet a wall, a post or the ceiling
    gives 0."""
    sign = 1 if vel[1] > 0 else -1
    way, speed_y = GOAL_LINE - float(pos[1]) * sign, abs(float(vel[1]))
    z, vz = float(pos[2]), float(vel[2])
    if way <= 0:
        return sign if abs(pos[0]) <= GOAL_X and z <= GOAL_Z else 0
    # Seen from above, the path of the ball is straight.
    if way > speed_y * SECONDS or abs(pos[0] + vel[0] * (way / speed_y)) > GOAL_X:
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
    """The goals (1, -1 or 0, as in `heading_into`) that the ball was heading into before a step and is heading into
    after it. If a goal was scored in the step, the second is that goal."""
    before = heading_into(arena0.ball_pos, arena0.ball_vel)
    goal = int(arena.blue_score > arena0.blue_score) - int(arena.orange_score > arena0.orange_score)
    return before, goal if goal != 0 else heading_into(arena.ball_pos, arena.ball_vel)
