"""A network of the user's own: its weights are read where the learner writes them, and its mistakes are named."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rlbot.env import ACTION_TABLE
from rlbot.env.observation import OBSERVATION_SIZE
from rlbot.model.heads import make_head
from rlbot.model.own import OwnActorCritic
from rlbot.policy import Policy
from rlbot.policy.own_network import OwnNetwork, outputs
from rlbot.values.target import Target

NETWORKS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, observation_size, num_outputs, width):
        super().__init__()
        self.register_buffer("scale", torch.full((width,), 2.0))
        self.register_buffer("order", torch.arange(width))  # not a weight: it is made anew
        self.body = nn.Linear(observation_size, width)
        self.logits, self.value = nn.Linear(width, num_outputs), nn.Linear(width, 1)

    def forward(self, observations):
        x = torch.relu(self.body(observations))[:, self.order] * self.scale
        return self.logits(x), self.value(x)

class Double(Net):
    def __init__(self, *sizes):
        super().__init__(*sizes, 2)
        self.double()

class OnlyLogits(Net):
    def forward(self, observations):
        return super().forward(observations)[0]

class TooFew(Net):
    def forward(self, observations):
        logits, value = super().forward(observations)
        return logits[:, 1:], value

class Fails(Net):
    def forward(self, observations):
        raise KeyError("no such column")

def not_a_module(observation_size, num_outputs):
    return "nothing"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NETWORKS, encoding="utf-8")
    return path


def network(file: Path, name: str, **arguments: object) -> OwnNetwork:
    return OwnNetwork(OBSERVATION_SIZE, "table", Target(f"{file}:{name}", arguments))


def test_the_actor_computes_what_the_learner_computes_with_the_weights_of_now(file: Path) -> None:
    own = network(file, "Net", width=7)
    model = OwnActorCritic(OBSERVATION_SIZE, make_head("table", ACTION_TABLE), own.module(), partial(outputs, own))
    vector = np.zeros(own.size(), np.float32)
    policy, observations = (
        Policy(own, vector, ACTION_TABLE),
        np.random.default_rng(0).normal(size=(5, OBSERVATION_SIZE)),
    )
    rows = observations.astype(np.float32)
    assert not policy.logits(rows).any()
    own.vector(model.actor_arrays(), vector)
    with torch.inference_mode():
        expected = model.actor_logits(torch.from_numpy(rows)).numpy()
        values = model.value(torch.from_numpy(rows)).numpy()
    np.testing.assert_array_equal(policy.logits(rows), expected)
    np.testing.assert_array_equal(own.run(vector)(rows)[1], values)
    assert own.size() == 7 + (OBSERVATION_SIZE + 1) * 7 + 8 * len(ACTION_TABLE) + 8


def test_weights_that_have_no_part_are_found(file: Path) -> None:
    own = network(file, "Net", width=3)
    module = own.module()
    module.register_parameter("spare", torch.nn.Parameter(torch.zeros(2)))
    model = OwnActorCritic(OBSERVATION_SIZE, make_head("table", ACTION_TABLE), module, partial(outputs, own))
    assert model.unused(torch.zeros(2, OBSERVATION_SIZE)) == ["spare"]


def test_looking_at_a_network_draws_no_random_numbers(file: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    own = network(file, "Net", width=3)
    own.forward(np.zeros(own.size(), np.float32))
    assert torch.rand(1) == expected


def test_a_network_in_a_checkpoint_is_read_as_it_was(file: Path) -> None:
    own = network(file, "Net", width=3)
    assert OwnNetwork.read(own.document()) == own


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "there is no function Missing"),
        ("Net", "fails: TypeError: .*width"),
        ("not_a_module", "makes str; it must make a torch.nn.Module"),
        ("Double", r"its weight body\.weight is torch\.float64; it must be torch\.float32"),
    ],
)
def test_a_class_that_cannot_be_used(file: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^model\.network\._target_=\S+net\.py:" + f"{name}:? {message}"):
        network(file, name).module()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OnlyLogits", r"forward returns shape \(4, 90\); it must return \(logits of shape \(4, 90\), values"),
        ("TooFew", r"forward returns \(shape \(4, 89\), shape \(4, 1\)\); it must return"),
        ("Fails", r"forward fails: KeyError: 'no such column' \(net\.py, line \d+\)"),
    ],
)
def test_a_forward_pass_that_cannot_be_used(file: Path, name: str, message: str) -> None:
    own = network(file, name, width=2)
    run = own.forward(np.zeros(own.size(), np.float32))
    with pytest.raises(ValueError, match=r"^model\.network\._target_=\S+net\.py:" + f"{name}:? {message}"):
        run(np.zeros((4, OBSERVATION_SIZE), np.float32))
