"""Controls that are played again and again, and the resets of one recorded play."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE, BatchEnv

STEPS = 600  # 40 s of play at tick_skip 8: some episodes of every arena
_AHEAD = 0.25  # s: cars drive to where the ball will be then
# What a difference in each control counts: throttle, steer, pitch, yaw, roll, jump, boost, handbrake.
_MATTERS = np.array([1, 2, 1, 0.5, 0.1, 3, 1, 1], np.float32)


@dataclass(frozen=True)
class RecordedControls:
    """rows (STEPS, C): the row of the action table for each step and car. restarts: the arenas that are reset after
    each step."""

    rows: NDArray[np.int64]
    restarts: list[list[int]]


def random_rows(seed: int, first_arena: int, num_cars: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, first_arena]).integers(0, len(ACTION_TABLE), (STEPS, num_cars))


def rows_to_ball(env: BatchEnv, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows (C,) of the action table with which each car of `env` drives to the ball, and often jumps near it."""
    state, arena, slot = env.state, env.car_arena, env.car_slot
    forward, up = state.car_forward[arena, slot], state.car_up[arena, slot]
    to = state.ball_pos[arena] + _AHEAD * state.ball_vel[arena] - state.car_pos[arena, slot]
    angle = np.arctan2((to * np.cross(up, forward)).sum(1), (to * forward).sum(1))
    near, ground = np.linalg.norm(to, axis=1) < 350, state.car_on_ground[arena, slot] > 0
    wanted = np.zeros((len(arena), 8), np.float32)
    wanted[:, 0], wanted[:, 6], wanted[:, 7] = 1, np.abs(angle) < 0.4, ground & (np.abs(angle) > 1.6)
    wanted[:, 1] = wanted[:, 3] = np.clip(3 * angle, -1, 1)
    wanted[:, 5] = rng.random(len(arena)) < np.where(near, 0.4, np.where(ground, 0.0, 0.1))
    wanted[:, 2] = np.where(ground, 0, np.where(near & (wanted[:, 5] > 0), -1, np.clip(to[:, 2] / 400, -1, 1)))
    rows: NDArray[np.int64] = ((ACTION_TABLE - wanted[:, None]) ** 2 @ _MATTERS).argmin(1)
    return rows


def record(env: BatchEnv, seed: int, to_ball: bool) -> RecordedControls:
    """Plays `env` once, with random controls or to the ball, to find out where episodes end."""
    chosen, rng = random_rows(seed, env.first_arena, env.num_envs), np.random.default_rng([seed, env.first_arena])
    restarts = []
    env.reset(seed=seed)
    for row in chosen:
        if to_ball:
            row[:] = rows_to_ball(env, rng)
        env.step(ACTION_TABLE[row])
        restarts.append(np.flatnonzero(env.ended).tolist())
    return RecordedControls(chosen, restarts)
