"""The cars for which a player chooses controls."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import BatchEnv
from rlbot.policy import uniforms
from rlbot.sim import BLUE, ORANGE

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Cars:
    """K cars of a batch of arenas: `cars.of(state.car_pos)` (K, 3) are their positions.

    A player that remembers nothing but `ticks` and `controls` continues exactly after a resume, in any process.
    """

    arena: NDArray[np.int64]  # (K,) row of the state
    slot: NDArray[np.int64]  # (K,) of the arena; the first `team_slots` are blue, the others orange
    ticks: NDArray[np.int64]  # (K,) physics ticks (1/120 s) since the episode began; 0 at its first state
    controls: Floats  # (K, 8) current controls of the car; zeros at the start of an episode
    tick_skip: int  # ticks until the next state
    action_delay: int  # ticks until what is decided now takes effect
    numbers: NDArray[np.int64]  # (K,) of the car in the whole run or match
    seed: int
    step: int
    team_slots: int = 2  # of the state

    @property
    def team(self) -> NDArray[np.int64]:
        """(K,) 0 for blue, 1 for orange."""
        return np.where(self.slot < self.team_slots, BLUE, ORANGE)

    @property
    def sign(self) -> Floats:
        """(K,) 1 for blue, -1 for orange: times x and y, a car sees the field as blue does."""
        return np.where(self.team == BLUE, 1, -1).astype(np.float32)

    def of(self, field: Floats) -> Floats:
        """The rows of these cars in a field of the state (N, P, ...), such as `state.car_pos`."""
        return field[self.arena, self.slot]

    def __len__(self) -> int:
        return len(self.arena)

    def __getitem__(self, rows: Any) -> "Cars":
        names = ("arena", "slot", "ticks", "controls", "numbers")
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in names})

    def due(self, period: int) -> NDArray[np.bool_]:
        """Returns for which cars (K,) a player decides that does so every `period` ticks: in the first state, and in
        the first state at or after each multiple of `period`. If tick_skip is at least `period`, in every state."""
        return np.asarray((self.ticks == 0) | (self.ticks // period > (self.ticks - self.tick_skip) // period))

    def random(self, columns: int) -> Floats:
        """(K, columns) numbers in [0, 1), which depend only on the seed, the step and the car."""
        out = np.empty((len(self), columns), np.float32)
        uniforms(self.seed, self.step, self.numbers, out)
        return out


def asked(env: BatchEnv, rows: NDArray[np.int64], numbers: NDArray[np.int64], seed: int, step: int) -> Cars:
    """The cars in the `rows` (K,) of `env`. `numbers` (K,), `seed` and `step`: see Cars.random."""
    arena, rules = env.car_arena[rows], env.rules
    ticks = env.steps[arena] * rules.tick_skip
    return Cars(
        arena, env.car_slot[rows], ticks, env.controls[rows], rules.tick_skip, rules.action_delay, numbers, seed, step,
        env.arenas.team_slots,
    )  # fmt: skip
