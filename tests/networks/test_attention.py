"""The attention network: cars that do not exist do not matter, and their order does not either."""

import numpy as np
import pytest
import torch

from rlbot.env import BatchEnv
from rlbot.env.observation import columns
from rlbot.networks import Attention
from rlbot.reward import Reward
from tests.conftest import random_controls


@pytest.fixture
def observations() -> torch.Tensor:
    """Of the cars of a 1v1 and a 2v2 some steps after a kickoff."""
    env = BatchEnv([(1, 1), (2, 2)], Reward([]), {"kickoff": 1.0})
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(40):
        seen = env.step(random_controls(rng, 6))[0]
    return torch.from_numpy(seen)


def outputs(network: Attention, observations: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat(network(observations), 1)


def test_shapes_and_that_every_weight_learns(observations: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = Attention(180, 90, width=16, heads=2)
    logits, values = network(observations)
    assert logits.shape == (6, 90) and values.shape == (6, 1)
    (logits.square().sum() + values.square().sum()).backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.parameters())


def test_cars_are_a_set(observations: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = Attention(180, 90, width=16, heads=2)
    first, second = columns("opponent_1.present").start, columns("opponent_2.present").start
    swapped = observations.clone()
    swapped[:, first:second], swapped[:, second:] = observations[:, second:], observations[:, first:second]
    torch.testing.assert_close(outputs(network, swapped), outputs(network, observations))
    moved = observations.clone()
    moved[:, columns("mate.pos")] += 1.0
    changed = (outputs(network, moved) != outputs(network, observations)).any(1)
    assert changed.tolist() == [False, False, True, True, True, True]  # the cars of the 1v1 have no mate


def test_another_observation_is_refused() -> None:
    with pytest.raises(ValueError, match="an observation of 12 numbers; it needs the default one"):
        Attention(12, 90)
