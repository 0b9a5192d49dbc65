"""When a decision is asked for, and when it takes effect."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.bots import Cars
from rlbot.bots.timing import Timing
from rlbot.sim import State
from tests.bots.scenes import cars_of


class Game:
    """Two cars of different arenas that decide on the number of the tick."""

    def __init__(self, tick_skip: int, action_delay: int) -> None:
        self.pace = tick_skip, action_delay
        self.timing = Timing(self._decide)
        self.controls = np.zeros((2, 8), np.float32)
        self.before: list[float] = []  # what the first car did when it decided

    def _decide(self, state: State, cars: Cars) -> NDArray[np.float32]:
        self.before.append(float(cars.controls[0, 0]))
        return np.repeat(cars.ticks[:, None], 8, axis=1).astype(np.float32)

    def play(self, ticks: Sequence[int]) -> list[float]:
        """What the first car does from each of these ticks on."""
        done = []
        for tick in ticks:
            self.controls *= tick > 0
            cars = cars_of([1, 3], [0, 2], tick, self.controls, self.pace[0], action_delay=self.pace[1])
            self.controls = self.timing.act(State(0), cars)
            assert (self.controls[0] == self.controls[1]).all()
            done.append(float(self.controls[0, 0]))
        return done


def test_a_decision_takes_effect_with_the_next_one() -> None:
    game = Game(tick_skip=8, action_delay=0)
    assert game.play([0, 8, 16, 24]) == [0, 0, 8, 16]
    assert game.before == [0, 0, 8, 16], "a decision knows what the car will do until it takes effect"
    assert game.play([0, 8, 16]) == [0, 0, 8], "in a new episode, too"
    game.timing.reset()
    assert game.play([24, 32, 40]) == [24, 24, 32], "where nothing was decided before, at once"


@pytest.mark.parametrize("action_delay", [4, 7])
def test_the_delay_of_the_environment_is_not_added(action_delay: int) -> None:
    assert Game(8, action_delay).play([0, 8, 16, 24]) == [0, 8, 16, 24]


def test_controls_are_kept_between_two_decisions() -> None:
    assert Game(4, 0).play(range(0, 33, 4)) == [0, 0, 0, 0, 8, 8, 16, 16, 24]
    assert Game(6, 0).play(range(0, 37, 6)) == [0, 0, 0, 12, 18, 18, 24], "decided at 0, 12, 18, 24 and 36"
