"""States filled by hand, and what the terms pay for them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlbot.reward import Reward, Term, terms
from rlbot.reward.compose import TermTotals
from rlbot.sim import State, team_slots_for

ALL = np.arange(len(terms.TERMS))


def state(*team_sizes: tuple[int, int]) -> State:
    """Zeros but for the cars that are there."""
    made = State(len(team_sizes), team_slots=team_slots_for(team_sizes))
    half = made.team_slots
    for n, (blue, orange) in enumerate(team_sizes):
        made.present[n, :blue] = made.present[n, half : half + orange] = 1
    return made


def random_state(rng: np.random.Generator, *team_sizes: tuple[int, int]) -> State:
    """Anything in every field that a term reads; positions and speeds of the game's size."""
    made = state(*team_sizes)
    made.ball_pos[:], made.ball_vel[:] = rng.uniform(-2000, 2000, (2, len(team_sizes), 3))
    made.blue_score[:], made.orange_score[:] = rng.integers(0, 2, (2, len(team_sizes)))
    shape = made.present.shape
    for name in ("pos", "vel", "forward"):
        made.cars[name][:] = rng.uniform(-1500, 1500, (*shape, 3))
    made.car_forward[:] /= np.linalg.norm(made.car_forward, axis=-1, keepdims=True)
    made.car_boost[:] = rng.uniform(0, 100, shape)
    shots = np.arange(len(team_sizes)) % 5 < 4  # most balls are on their way into a goal
    made.ball_pos[shots, 0], made.ball_pos[shots, 2] = 0, 200
    made.ball_vel[shots] = rng.choice([-1, 1], (int(shots.sum()), 1)) * np.array([0, 4000, 0])
    for name in ("touched", "on_ground", "is_demoed", "demos", "saves"):
        made.cars[name][:] = rng.integers(0, 2, shape)
    present = made.present.copy()
    made.cars[present == 0] = 0
    return made


def earned(name: str, before: State, after: State) -> NDArray[np.float32]:
    """(N, 4) of one built-in term."""
    out = np.zeros((1, *after.present.shape), np.float32)
    which = terms.indices([name])
    terms.evaluate(before.arenas, after.arenas, before.cars, after.cars, which, np.zeros(1, np.int64), out)
    return out[0]


def paid(
    before: State,
    after: State,
    items: Sequence[Term],
    zero_sum: Sequence[str] = (),
    spirit: float = 0,
    clip: float = 1e6,
) -> NDArray[np.float32]:
    """(N, 4) of what Reward pays; absent cars 0."""
    reward = Reward(items, zero_sum, spirit, clip)
    arena, slot = (index.astype(np.int64) for index in np.nonzero(after.present))
    out = np.zeros(len(arena), np.float32)
    reward.pay(reward.earn(before, after), after, arena, slot, TermTotals(len(arena), len(reward.names)), out)
    table = np.zeros(after.present.shape, np.float32)
    table[arena, slot] = out
    return table
