"""What Nexto and Necto see: a row of 24 numbers for each player, the ball and each boost pad.

Columns: 0 self, 1 mate (self, too), 2 opponent, 3 ball, 4 pad; 5:8 position, 8:11 velocity, 11:14 forward, 14:17 up,
17:20 angular velocity; 20 boost, 0 to 1 (of a pad: what it gives, 0.12 or 1); 21 demolished (of a pad: whether it is
there); 22 on the ground; 23 has its flip. Positions and velocities are divided by 2300, angular velocities by 5.5.
Everything is in the team's frame, in which every car plays blue.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rlbot.bots.cars import Cars
from rlbot.sim import BLUE, PAD_COOLDOWN, PAD_POSITION, State

Floats = NDArray[np.float32]

PADS = len(PAD_POSITION)
BALL = -1 - PADS  # row of the ball; before it a player for each slot, the car itself first, after it the pads
COLUMNS = 24
POSITION, VELOCITY, FORWARD, UP, ANGULAR = (slice(k, k + 3) for k in (5, 8, 11, 14, 17))
VECTORS = slice(5, 20)  # all five of them

_SCALE = np.float32(2300)  # of positions (uu) and velocities (uu/s)
_ANGULAR_SCALE = np.float32(5.5)  # of angular velocities (rad/s)
_BIG = PAD_COOLDOWN > 5
_PAD_HEIGHT = np.where(_BIG, 73, 70).astype(np.float32)


@cache
def _order(team_slots: int) -> NDArray[np.int64]:
    """(P, P) the slots as a car in each of them sees them: itself, its mates, its opponents. So blue and orange see a
    turned situation alike."""
    slots = range(2 * team_slots)
    return np.array([sorted(slots, key=lambda o: (o != own, o // team_slots != own // team_slots, o)) for own in slots])


def seen_slots(cars: Cars) -> NDArray[np.int64]:
    """(K, P) the slot that each of the first rows shows."""
    return _order(cars.team_slots)[cars.slot]


def entities(state: State, cars: Cars) -> tuple[Floats, Floats]:
    """(rows (K, ROWS, COLUMNS), mask (K, ROWS)) of K cars, ROWS being P + 35. The mask is added to the logits of the
    attention: 0, and -infinity for slots without a car."""
    count, slots = len(cars), state.cars.shape[1]
    arena, mine = cars.arena, cars.team
    turn = np.where(mine == BLUE, 1, -1).astype(np.float32)[:, None]
    order = seen_slots(cars)
    players = state.cars[arena[:, None], order]
    rows = np.zeros((count, slots + 1 + PADS, COLUMNS), np.float32)

    own = rows[:, :slots]
    own[:, 0, 0] = 1
    mates = state.team_of_slot()[order] == mine[:, None]
    own[..., 1], own[..., 2] = mates, ~mates
    for columns, name, scale in (
        (POSITION, "pos", _SCALE),
        (VELOCITY, "vel", _SCALE),
        (FORWARD, "forward", np.float32(1)),
        (UP, "up", np.float32(1)),
        (ANGULAR, "ang_vel", _ANGULAR_SCALE),
    ):
        own[..., columns] = players[name] / scale
    own[..., 20] = players["boost"] / 100
    own[..., 21], own[..., 22] = players["is_demoed"], players["on_ground"]
    own[..., 23] = (players["has_double_jumped"] == 0) & (players["has_flipped"] == 0)

    ball = rows[:, BALL]
    ball[:, 3] = 1
    ball[:, POSITION], ball[:, VELOCITY] = state.ball_pos[arena] / _SCALE, state.ball_vel[arena] / _SCALE
    ball[:, ANGULAR] = state.ball_ang_vel[arena] / _ANGULAR_SCALE
    rows[:, :, 5:20:3] *= turn[..., None]  # x and y of all vectors; those of the pads are still zero
    rows[:, :, 6:20:3] *= turn[..., None]

    pads = rows[:, BALL + 1 :]  # pad i of the team's frame is pad PADS - 1 - i for orange
    pads[..., 4] = 1
    pads[..., 5:7], pads[..., 7] = PAD_POSITION / _SCALE, _PAD_HEIGHT / _SCALE
    pads[..., 20] = np.where(_BIG, 1, 0.12)
    active = state.pad_active[arena]
    pads[..., 21] = np.where(turn > 0, active, active[:, ::-1])

    mask = np.zeros(rows.shape[:2], np.float32)
    mask[:, :slots][players["present"] == 0] = -np.inf
    return rows, mask
