"""The policy on the learner's device: right, with weights of its own, the same with and without CUDA graphs."""

import numpy as np
import pytest
import torch

from rlbot.hardware import Hardware
from rlbot.learner.device_actor import DeviceActor
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.policy import Network
from tests.learner.conftest import OBS, ON_CPU, ON_GPU, TABLE, Backend

NETWORK = Network(OBS, (32, 32), True, "relu", "table", tuple(map(tuple, TABLE.tolist())))


def made(backend: Backend) -> tuple[ActorCritic, DeviceActor, np.ndarray]:
    """A learner's network, an actor for it, and the weights of the network."""
    precision, device = backend
    hardware = Hardware.choose(device=device, precision=precision, threads=1)
    learner, copy = (ActorCritic(OBS, make_head("table", TABLE), (32, 32)).to(hardware.device) for _ in range(2))
    weights = np.empty(NETWORK.size(), np.float32)
    NETWORK.vector(learner.actor_arrays(), weights)
    return learner, DeviceActor(copy, NETWORK, hardware, pytest.fail), weights


@pytest.mark.parametrize("backend", [ON_CPU[0], ON_GPU[0]])
def test_it_acts_with_the_weights_that_it_was_given(backend: Backend) -> None:
    learner, actor, weights = made(backend)
    actor.load(weights, [8])
    inputs = np.random.default_rng(0).normal(size=(8, OBS)).astype(np.float32)
    with torch.inference_mode():
        expected = learner.actor_logits(torch.from_numpy(inputs).to(backend[1])).cpu().numpy()
        for parameter in learner.parameters():
            parameter += 1.0
    np.testing.assert_allclose(actor(inputs), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(actor(inputs[:3]), expected[:3], rtol=1e-5, atol=1e-6)  # a number that was not told
    actor.load(2 * weights, [8])
    assert np.abs(actor(inputs) - expected).max() > 0.01


@pytest.mark.parametrize("backend", ON_GPU)
def test_a_graph_gives_the_bits_of_single_launches_in_any_place_of_a_block(backend: Backend) -> None:
    _, graph, weights = made(backend)
    _, eager, _ = made(backend)
    graph.load(weights, [64])
    eager.load(weights, [])
    inputs = np.random.default_rng(0).normal(size=(64, OBS)).astype(np.float32)
    expected = eager(inputs).copy()
    np.testing.assert_array_equal(graph(inputs), expected)
    np.testing.assert_array_equal(graph(inputs[::-1].copy()), expected[::-1])


@pytest.mark.parametrize("backend", [ON_GPU[0]])
def test_a_graph_writes_to_no_memory_but_its_own(backend: Backend) -> None:
    _, actor, weights = made(backend)
    actor.load(weights, [64])
    others = [
        torch.zeros(count, device=backend[1]) for count in (64 * OBS, 64 * 32, 64 * len(TABLE)) for _ in range(64)
    ]
    actor(np.ones((64, OBS), np.float32))
    assert not any(each.any() for each in others)
