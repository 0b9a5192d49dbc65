"""The actor: what a car does is a matter of its own observation, to the last bit."""

import numpy as np
import pytest

from rlbot.env import ACTION_TABLE
from rlbot.policy import Network, Policy
from rlbot.policy.heads import HEADS

ROWS = 13


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("hidden", [(24,), (64, 32), (100, 7)], ids=str)
def test_what_a_car_does_never_depends_on_those_it_is_computed_with(hidden: tuple[int, ...], head: str) -> None:
    """Alone, in twos, in fives and all together: a worker may have any number of cars, and one that was resumed
    another one. Widths of whole tiles of the matrix product and others."""
    rng = np.random.default_rng(0)
    network = Network(180, hidden, True, "tanh", head)
    policy = Policy(network, 0.3 * rng.standard_normal(network.size(), np.float32), ACTION_TABLE)
    observations, cars = rng.standard_normal((ROWS, 180), np.float32), np.arange(ROWS)
    logits = policy.logits(observations).copy()
    actions, log_probs, controls = policy.sample(observations, 1, 2, cars)
    for count in (1, 2, 5):
        for at in range(0, ROWS, count):
            some = slice(at, at + count)
            np.testing.assert_array_equal(policy.logits(observations[some]), logits[some])
            found = policy.sample(observations[some], 1, 2, cars[some])
            for mine, whole in zip(found, (actions, log_probs, controls), strict=True):
                np.testing.assert_array_equal(mine, whole[some])
