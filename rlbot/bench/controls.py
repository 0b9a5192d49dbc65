"""Random controls that are played again and again, and the resets of one recorded play."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE, BatchEnv

STEPS = 600  # 40 s of play at tick_skip 8: some episodes of every arena


@dataclass(frozen=True)
class RecordedControls:
    """rows (STEPS, C): the row of the action table for each step and car. restarts: the arenas that are reset after
    each step."""

    rows: NDArray[np.int64]
    restarts: list[list[int]]


def random_rows(seed: int, first_arena: int, num_cars: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, first_arena]).integers(0, len(ACTION_TABLE), (STEPS, num_cars))


def record(env: BatchEnv, seed: int) -> RecordedControls:
    """Play the controls once in `env` to find out where episodes end."""
    rows = random_rows(seed, env.first_arena, env.num_envs)
    restarts = []
    env.reset(seed=seed)
    for row in rows:
        env.step(ACTION_TABLE[row])
        restarts.append(np.flatnonzero(env.ended).tolist())
    return RecordedControls(rows, restarts)
