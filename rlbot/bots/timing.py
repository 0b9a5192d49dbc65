"""When Nexto and Necto decide, and when it takes effect."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rlbot.bots.cars import Cars
from rlbot.sim import State

Floats = NDArray[np.float32]

PERIOD = 8  # ticks between two decisions
_NEVER = -(2**40)  # ticks; long before every episode


class Timing:
    """Asks for a decision every 8 ticks and keeps the controls in between.

    What is decided takes effect with the next decision, 8 ticks later: in the game it is 7 ticks for Nexto and 8 for
    Necto, and that is how they were trained. If the environment has an action_delay of 4 ticks or more, that is the
    delay instead.
    """

    def __init__(self, decide: Callable[[State, Cars], Floats]) -> None:
        """`decide(state, cars)`: controls (K, 8) for cars whose `controls` are those that they have from now on."""
        self._decide = decide
        self.reset()

    def reset(self) -> None:
        """Forgets the decisions that have not taken effect yet."""
        self._pending = np.zeros((0, 0, 8), np.float32)  # by arena and slot
        self._decided_at = np.zeros((0, 0), np.int64)

    def act(self, state: State, cars: Cars) -> Floats:
        """Controls (K, 8) of K cars."""
        controls: Floats = cars.controls.copy()
        if (due := cars.due(PERIOD)).any():
            asked = cars[due]
            controls[due] = self._decide(state, asked) if cars.action_delay >= PERIOD / 2 else self._late(state, asked)
        return controls

    def _late(self, state: State, cars: Cars) -> Floats:
        """Decides, and returns what was decided before; where nothing was, what is decided now."""
        slots = state.cars.shape[1]
        if self._decided_at.shape[1] != slots:
            self._pending = np.zeros((0, slots, 8), np.float32)
            self._decided_at = np.zeros((0, slots), np.int64)
        if (new := int(np.max(cars.arena)) + 1 - len(self._pending)) > 0:
            self._pending = np.concatenate([self._pending, np.zeros((new, slots, 8), np.float32)])
            self._decided_at = np.concatenate([self._decided_at, np.full((new, slots), _NEVER)])
        place = cars.arena, cars.slot
        age = cars.ticks - self._decided_at[place]
        waiting = ((age > 0) & (age <= PERIOD + cars.tick_skip))[:, None]
        before = np.where(waiting, self._pending[place], cars.controls)
        decided = self._decide(state, replace(cars, controls=before))
        self._pending[place], self._decided_at[place] = decided, cars.ticks
        return np.where(waiting, before, decided)
