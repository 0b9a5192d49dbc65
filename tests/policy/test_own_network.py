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
from rlbot.policy import Bot, Policy
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

class Counts(nn.Module):
    # The logits are the number of steps.
    state_size = 2

    def __init__(self, observation_size, num_outputs):
        super().__init__()
        self.logits = nn.Linear(observation_size, num_outputs)

    def forward(self, observations, state):
        state = state + torch.tensor([1.0, 2.0])
        return 0 * self.logits(observations) + state[:, :1], state[:, 1], state

class NoState(Counts):
    def forward(self, observations, state):
        return super().forward(observations, state)[:2]

class OtherState(Counts):
    def forward(self, observations, state):
        logits, values, state = super().forward(observations, state)
        return logits, values, state[:, :1]

class NoSize(Counts):
    state_size = 2.5

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
        ("NoState", r"forward returns \(shape \(4, 90\), shape \(4,\)\); it must return \(.*, state of"),
        ("OtherState", r"forward returns \(.*, shape \(4, 1\)\); it must return \(.*, state of shape \(4, 2\)\)"),
        ("Fails", r"forward fails: KeyError: 'no such column' \(net\.py, line \d+\)"),
    ],
)
def test_a_forward_pass_that_cannot_be_used(file: Path, name: str, message: str) -> None:
    own = network(file, name, **({} if "State" in name else {"width": 2}))
    run = own.forward(np.zeros(own.size(), np.float32))
    with pytest.raises(ValueError, match=r"^model\.network\._target_=\S+net\.py:" + f"{name}:? {message}"):
        run(np.zeros((4, own.input_size), np.float32))


def test_a_recurrent_network_takes_and_gives_states(file: Path) -> None:
    own = network(file, "Counts")
    assert (own.state_size, own.input_size, own.output_size) == (2, OBSERVATION_SIZE + 2, 92)
    model = OwnActorCritic(OBSERVATION_SIZE, make_head("table", ACTION_TABLE), own.module(), partial(outputs, own), 2)
    vector = np.zeros(own.size(), np.float32)
    own.vector(model.actor_arrays(), vector)
    policy, states = Policy(own, vector, ACTION_TABLE), np.zeros((3, 2), np.float32)
    for step in (1, 2):
        inputs = own.inputs(np.ones((3, OBSERVATION_SIZE), np.float32), states)
        outputs_here = model.actor_outputs(torch.from_numpy(inputs)).detach().numpy()
        logits = policy.logits(inputs, states)
        assert (logits == step).all() and logits.flags.c_contiguous and (states == [step, 2 * step]).all()
        np.testing.assert_array_equal(outputs_here, np.concatenate([logits, states], 1))
        np.testing.assert_array_equal(own.run(vector)(inputs)[1], [2 * step] * 3)
    assert (policy.logits(inputs) == 2).all() and (states == [2, 4]).all(), "it changes nothing"


def test_a_bot_remembers_each_row_until_it_is_reset(file: Path) -> None:
    own = network(file, "Counts")
    bot = Bot(own, np.zeros(own.size(), np.float32), 8, 0, 0, file)
    rows = np.zeros((3, OBSERVATION_SIZE))

    def seen() -> list[float]:
        bot.act(rows, deterministic=True)
        return bot._states[:, 0].tolist()

    assert (seen(), seen()) == ([1, 1, 1], [2, 2, 2])
    bot.reset([False, True, False])
    assert seen() == [3, 1, 3]
    with pytest.raises(ValueError, match=r"2 rows after 3, each of which it remembers; reset\(\) first"):
        bot.act(rows[:2])
    bot.reset()
    rows = rows[:2]
    assert seen() == [1, 1]


def test_a_size_of_the_state_that_is_no_whole_number(file: Path) -> None:
    with pytest.raises(ValueError, match=r"net\.py:NoSize: its state_size is 2\.5; it must be a whole number"):
        network(file, "NoSize").size()


@pytest.mark.parametrize("name", ["Attention", "GRU"])
def test_the_bits_do_not_depend_on_where_the_rows_are_in_memory(name: str) -> None:
    network = OwnNetwork(OBSERVATION_SIZE, "table", Target(f"rlbot.networks.{name}", {}))
    forward = network.forward(np.random.default_rng(0).normal(size=network.size()).astype(np.float32))
    rows = np.random.default_rng(1).normal(size=(2, network.input_size)).astype(np.float32)
    memory = np.empty(rows.size + 16, np.float32)
    for start in range(16):
        moved = memory[start : start + rows.size].reshape(rows.shape)
        moved[:] = rows
        np.testing.assert_array_equal(forward(moved), forward(rows))
