"""What a car observes: 180 numbers in its team's frame, computed for a whole batch at once.

Every car sees the field as if it played blue: for orange cars the field is rotated by half a turn, so x and y change
sign. "Local" means along the car's own axes (forward, right, up). Positions (uu) and velocities (uu/s) are divided by
2300, the top speed of a car: most numbers stay within [-3, 3], and 1 is the distance driven in a second at top speed.
"""

import numpy as np
from numba import njit

# All are float32, like the state: a single Python float would make the whole computation float64.
_F = np.float32
ONE, HALF = _F(1.0), _F(0.5)
POSITION_SCALE = _F(1 / 2300)
CAR_SPIN_SCALE = _F(1 / 5.5)  # a car turns at most 5.5 rad/s
BALL_SPIN_SCALE = _F(1 / 6.0)  # the ball at most 6 rad/s
DEMO_SCALE = _F(1 / 3.0)  # a demolished car is gone for 3 s
FLIP_SCALE = _F(1 / 1.25)  # a flip is lost 1.25 s after the jump
TANK = _F(100.0)
GRAVITY_Z = _F(-650.0)
BALL_RADIUS = _F(91.25)
GOAL_Y = _F(5120.0)
GOAL_Z = _F(321.0)  # half the height of the goal
LIMIT = _F(10.0)  # all numbers are clipped to [-LIMIT, LIMIT]

OTHER_CAR = (
    ("present", 1),
    ("pos", 3),
    ("vel", 3),
    ("ang_vel", 3),
    ("forward", 3),
    ("up", 3),
    ("local_pos", 3),  # relative to the own car
    ("local_vel", 3),
    ("boost", 1),
    ("demoed", 1),
    ("on_ground", 1),
    ("has_flip", 1),
)
# (name, size) of every part that is not about other cars, in order.
ALONE: tuple[tuple[str, int], ...] = (
    ("ball.pos", 3),
    ("ball.vel", 3),
    ("ball.ang_vel", 3),
    ("ball.local_pos", 3),  # relative to the own car
    ("ball.local_vel", 3),
    ("ball.distance", 1),
    ("ball.local_pos_in_half_a_second", 3),  # if it flies on freely
    ("ball.local_pos_in_a_second", 3),
    ("car.pos", 3),
    ("car.vel", 3),
    ("car.ang_vel", 3),
    ("car.forward", 3),
    ("car.up", 3),
    ("car.local_vel", 3),
    ("car.local_ang_vel", 3),
    ("car.boost", 1),
    ("car.on_ground", 1),
    ("car.has_flip", 1),
    ("car.has_jumped", 1),
    ("car.has_double_jumped", 1),
    ("car.has_flipped", 1),
    ("car.air_time_since_jump", 1),
    ("car.is_supersonic", 1),
    ("car.is_demoed", 1),
    ("car.demo_timer", 1),
    ("car.handbrake", 1),
    ("previous_action", 8),
    ("goal.opponent_local_pos", 3),
    ("goal.own_local_pos", 3),
    ("pads.timer", 34),  # 0: ready, 1: just taken; pads of the own half come first
)


def with_others(*others: str) -> tuple[tuple[str, int], ...]:
    """ALONE, and then every part about each of these other cars."""
    return (*ALONE, *((f"{other}.{name}", size) for other in others for name, size in OTHER_CAR))


OBSERVATION = with_others("mate", "opponent_1", "opponent_2")
OBSERVATION_SIZE = sum(size for _, size in OBSERVATION)


def columns(name: str) -> slice:
    """The columns of the observation that hold `name`. Raises KeyError if `name` is not in OBSERVATION."""
    first = 0
    for each, size in OBSERVATION:
        if each == name:
            return slice(first, first + size)
        first += size
    raise KeyError(name)


@njit(cache=True, inline="always")
def _world(out, at, vector, sign, scale):  # type: ignore[no-untyped-def]
    out[at] = vector[0] * sign * scale
    out[at + 1] = vector[1] * sign * scale
    out[at + 2] = vector[2] * scale
    return at + 3


@njit(cache=True, inline="always")
def local(out, at, car, x, y, z, scale):  # type: ignore[no-untyped-def]
    out[at] = (x * car.forward[0] + y * car.forward[1] + z * car.forward[2]) * scale
    out[at + 1] = (x * car.right[0] + y * car.right[1] + z * car.right[2]) * scale
    out[at + 2] = (x * car.up[0] + y * car.up[1] + z * car.up[2]) * scale
    return at + 3


@njit(cache=True)
def _ball(out, at, arena, car, sign):  # type: ignore[no-untyped-def]
    pos, vel = arena.ball_pos, arena.ball_vel
    at = _world(out, at, pos, sign, POSITION_SCALE)
    at = _world(out, at, vel, sign, POSITION_SCALE)
    at = _world(out, at, arena.ball_ang_vel, sign, BALL_SPIN_SCALE)
    x, y, z = pos[0] - car.pos[0], pos[1] - car.pos[1], pos[2] - car.pos[2]
    at = local(out, at, car, x, y, z, POSITION_SCALE)
    at = local(out, at, car, vel[0] - car.vel[0], vel[1] - car.vel[1], vel[2] - car.vel[2], POSITION_SCALE)
    out[at] = np.sqrt(x * x + y * y + z * z) * POSITION_SCALE
    at += 1
    for t in (HALF, ONE):
        height = max(pos[2] + vel[2] * t + HALF * GRAVITY_Z * t * t, BALL_RADIUS)
        at = local(out, at, car, x + vel[0] * t, y + vel[1] * t, height - car.pos[2], POSITION_SCALE)
    return at


@njit(cache=True, inline="always")
def goals(out, at, car, sign):  # type: ignore[no-untyped-def]
    """The opponents' goal, then the own one, relative to the car along its axes."""
    for end in (ONE, -ONE):
        y = end * GOAL_Y * sign - car.pos[1]
        at = local(out, at, car, -car.pos[0], y, GOAL_Z - car.pos[2], POSITION_SCALE)
    return at


@njit(cache=True, inline="always")
def other_state(out, at, other):  # type: ignore[no-untyped-def]
    """Boost and flags of another car."""
    out[at] = other.boost / TANK
    out[at + 1] = other.is_demoed
    out[at + 2] = other.on_ground
    out[at + 3] = other.has_flip
    return at + 4


@njit(cache=True)
def _own_car(out, at, car, controls, sign):  # type: ignore[no-untyped-def]
    at = _world(out, at, car.pos, sign, POSITION_SCALE)
    at = _world(out, at, car.vel, sign, POSITION_SCALE)
    at = _world(out, at, car.ang_vel, sign, CAR_SPIN_SCALE)
    at = _world(out, at, car.forward, sign, ONE)
    at = _world(out, at, car.up, sign, ONE)
    at = local(out, at, car, car.vel[0], car.vel[1], car.vel[2], POSITION_SCALE)
    at = local(out, at, car, car.ang_vel[0], car.ang_vel[1], car.ang_vel[2], CAR_SPIN_SCALE)
    out[at] = car.boost / TANK
    out[at + 1] = car.on_ground
    out[at + 2] = car.has_flip
    out[at + 3] = car.has_jumped
    out[at + 4] = car.has_double_jumped
    out[at + 5] = car.has_flipped
    out[at + 6] = min(car.air_time_since_jump * FLIP_SCALE, ONE)
    out[at + 7] = car.is_supersonic
    out[at + 8] = car.is_demoed
    out[at + 9] = car.demo_timer * DEMO_SCALE
    out[at + 10] = car.handbrake
    at += 11
    for i in range(8):
        out[at + i] = controls[i]
    return goals(out, at + 8, car, sign)


@njit(cache=True, inline="always")
def alone(out, arena, car, controls, sign, pad_cooldown):  # type: ignore[no-untyped-def]
    """Everything that is not about other cars."""
    at = _ball(out, 0, arena, car, sign)
    at = _own_car(out, at, car, controls, sign)
    for i in range(34):
        pad = i if sign > 0 else 33 - i
        out[at + i] = arena.pad_timer[pad] / pad_cooldown[pad]
    return at + 34


@njit(cache=True)
def other_car(out, at, other, car, sign):  # type: ignore[no-untyped-def]
    """Everything about another car; zeros if there is none."""
    if other.present == 0:
        out[at : at + 26] = 0.0
        return at + 26
    out[at] = 1.0
    at = _world(out, at + 1, other.pos, sign, POSITION_SCALE)
    at = _world(out, at, other.vel, sign, POSITION_SCALE)
    at = _world(out, at, other.ang_vel, sign, CAR_SPIN_SCALE)
    at = _world(out, at, other.forward, sign, ONE)
    at = _world(out, at, other.up, sign, ONE)
    pos, vel = other.pos, other.vel
    x, y, z = pos[0] - car.pos[0], pos[1] - car.pos[1], pos[2] - car.pos[2]
    at = local(out, at, car, x, y, z, POSITION_SCALE)
    at = local(out, at, car, vel[0] - car.vel[0], vel[1] - car.vel[1], vel[2] - car.vel[2], POSITION_SCALE)
    return other_state(out, at, other)


@njit(cache=True)
def write(arenas, cars, controls, car_arena, car_slot, pad_cooldown, which, out):  # type: ignore[no-untyped-def]
    """See `rlbot.env.observations.observe`."""
    half = cars.shape[1] // 2  # the first slot of orange
    for c in which:
        n, slot = car_arena[c], car_slot[c]
        car, row = cars[n, slot], out[c]
        mine, theirs = (0, half) if slot < half else (half, 0)  # the first slots of both teams
        place, sign = slot - mine, ONE if slot < half else -ONE
        at = alone(row, arenas[n], car, controls[c], sign, pad_cooldown)
        at = other_car(row, at, cars[n, mine + 1 - place], car, sign)
        at = other_car(row, at, cars[n, theirs + place], car, sign)  # opponent_1 has the car's own place in its team
        at = other_car(row, at, cars[n, theirs + 1 - place], car, sign)
        for i in range(at):
            row[i] = min(max(row[i], -LIMIT), LIMIT)
