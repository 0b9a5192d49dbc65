"""Recurrent networks: sequences, the states they begin with, gradients through time, and a task that needs a memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlbot.collect.rollout import Rollout
from rlbot.hardware import Hardware
from rlbot.hardware.hardware import ROWS
from rlbot.learner import PPO
from rlbot.learner.sequences import Sequences
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.model.own import AnyModel, OwnActorCritic
from rlbot.networks import GRU
from tests.learner.conftest import OBS, SETTINGS, TABLE, Backend
from tests.learner.test_cuda_graph import on_tensors, with_graphs

LENGTH = 4
HEADS = ["table", "multi_discrete", "continuous"]


def run(network: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The forward pass that OwnActorCritic takes."""
    logits, values, states = network(*inputs)
    return logits.float(), values.float().reshape(len(logits)), states.float()


def make_ppo(
    network: Callable[[int, int], nn.Module] = lambda size, outputs: GRU(size, outputs, 8),
    head: str = "table",
    precision: str = "fp32",
    device: str = "cpu",
    observation_size: int = OBS,
    **settings: Any,
) -> PPO:
    hardware = Hardware.choose(device, precision)
    hardware.seed(3)
    made = make_head(head, TABLE)
    module = network(observation_size, made.num_outputs)
    model = OwnActorCritic(observation_size, made, module, run, module.state_size).to(hardware.device)
    return PPO(model, hardware=hardware, **{**SETTINGS, "sequence_length": LENGTH, **settings})


def play(ppo: PPO, num_steps: int = 12, num_agents: int = 3, seed: int = 0) -> Rollout:
    """A rollout with random observations, rewards and endings, which begins in the middle of episodes."""
    rng, model = np.random.default_rng(seed), ppo.model
    assert isinstance(model, OwnActorCritic)
    head, move = model.head, ppo.hardware.tensor
    rollout = Rollout(num_steps, num_agents, OBS + model.state_size, head.action_shape, head.action_dtype)
    states = rng.normal(size=(num_agents, model.state_size)).astype(np.float32)
    for _ in range(num_steps):
        obs, final_obs = rng.normal(size=(2, num_agents, OBS)).astype(np.float32)
        inputs = np.concatenate([obs, states], 1)
        with torch.inference_mode():
            outputs = model.actor_outputs(move(inputs))
            logits, following = outputs[:, : head.num_outputs], outputs[:, head.num_outputs :]
            actions, log_probs = head.sample_with_log_prob(logits)
        states = following.cpu().numpy().copy()
        terminated, truncated = rng.random((2, num_agents)) < 0.15
        final = np.concatenate([final_obs, states], 1)
        rewards = rng.normal(size=num_agents)
        rollout.add(inputs, actions.cpu(), log_probs.cpu(), rewards, terminated, truncated, final)
        states[terminated | truncated] = 0.0
    rollout.finish(np.concatenate([rng.normal(size=(num_agents, OBS)), states], 1))
    return rollout


def test_rows_are_folded_into_sequences_of_one_agent_and_back() -> None:
    rows = torch.arange(12)[:, None] * torch.tensor([1, 100])  # 6 steps of 2 agents: row = step * 2 + agent
    folded = Sequences(2, 3).fold(rows)
    assert folded[:, :, 0].tolist() == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]]
    assert folded[0, 1].tolist() == [2, 200]
    assert torch.equal(Sequences(2, 3).unfold(folded), rows)
    assert Sequences(2, None).fold(rows) is rows and Sequences(2, None).unfold(rows) is rows


@pytest.mark.parametrize("head", HEADS)
def test_the_whole_batch_has_the_log_probabilities_with_which_was_acted(head: str) -> None:
    ppo = make_ppo(head=head)
    rollout = play(ppo)
    ended = (rollout.terminated | rollout.truncated).reshape(-1, LENGTH, 3)
    assert ended[:, :-1].any() and ended[:, -1].any(), "within sequences, and between them"
    batch, _ = ppo._prepare(rollout)
    assert batch.log_probs.shape == (9, LENGTH)
    with torch.no_grad():
        log_probs, _, values = ppo.model.evaluate(
            batch.observations, batch.actions, batch.masks, batch.states, batch.begins
        )
    torch.testing.assert_close(log_probs, batch.log_probs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(values, batch.values, rtol=1e-5, atol=1e-5)
    by_row = torch.from_numpy(rollout.log_probs).flatten()
    torch.testing.assert_close(Sequences(3, LENGTH).unfold(log_probs), by_row, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("overlap", [False, True])
def test_before_the_first_step_the_ratio_is_one(overlap: bool, backend: Backend) -> None:
    """In reduced precision and with overlap the log-probabilities before the update are computed anew, in sequences."""
    ppo = make_ppo(precision=backend[0], device=backend[1], epochs=1, minibatch_size=1000, overlap=overlap)
    rollout = play(ppo)
    if overlap:
        rollout.log_probs += 0.3  # of another policy
    metrics = ppo.update(rollout)
    assert metrics["learner/bad_updates"] == 0
    assert metrics["policy/kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["policy/ratio_max"] == pytest.approx(1.0, abs=1e-3)


class Linear(nn.Module):
    """The state is decay * state + observation, and so is the value; the logits do not depend on it."""

    state_size = 1

    def __init__(self, observation_size: int, num_outputs: int, decay: float = 0.5) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.tensor(decay))
        self.logits = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, observations: Tensor, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states = self.decay * states + observations[:, :1]
        return self.logits.expand(len(states), -1), states, states


def test_the_gradient_through_time_is_that_of_the_unrolled_sum() -> None:
    """s1 = d s0 + x1, s2 = d s1 + x2, then an episode begins: s3 = x3, s4 = d x3 + x4. The derivative of their sum:
    s0 + (2 d s0 + x1) + 0 + x3."""
    ppo = make_ppo(Linear, observation_size=1)
    model = ppo.model
    obs, begins = torch.tensor([[[2.0], [3.0], [5.0], [7.0]]]), torch.tensor([[False, False, True, False]])
    actions = torch.zeros(1, 4, dtype=torch.int64)
    values = model.evaluate(obs, actions, None, torch.tensor([[11.0]]), begins)[2]
    assert values.tolist() == [[7.5, 6.75, 5.0, 9.5]]
    values.sum().backward()
    assert model.network.decay.grad.item() == 11 + (2 * 0.5 * 11 + 2) + 0 + 5  # type: ignore[union-attr]


def test_values_beyond_the_rollout_and_the_episode_are_of_the_state_that_led_there() -> None:
    """A network whose value counts the steps of the episode: without rewards, and with gamma 1 and lambda 0, each row's
    advantage is the next value minus its own, 1, also at a truncation and at the end of the rollout; a terminated row
    loses its own value."""
    settings = {"gamma": 1.0, "gae_lambda": 0.0, "normalize_advantage": False, "normalize_return": False}
    ppo = make_ppo(lambda size, outputs: Linear(size, outputs, 1.0), observation_size=1, **settings)
    rng, states = np.random.default_rng(0), np.array([[0.0], [20.0], [0.0]], np.float32)
    rollout, ones = Rollout(8, 3, 2, (), np.int64), np.ones((3, 1), np.float32)
    expected = np.ones((8, 3), np.float32)
    for t in range(8):
        terminated, truncated = rng.random((2, 3)) < 0.2
        inputs, states = np.concatenate([ones, states], 1), states + 1
        expected[t, terminated] = -states[terminated, 0]
        actions, zeros = np.zeros(3, np.int64), np.zeros(3, np.float32)
        rollout.add(inputs, actions, zeros, zeros, terminated, truncated, np.concatenate([ones, states], 1))
        states = np.where((terminated | truncated)[:, None], 0, states)
    rollout.finish(np.concatenate([ones, states], 1))
    assert len(rollout.final_index) and rollout.terminated.any()
    batch, _ = ppo._prepare(rollout)
    np.testing.assert_array_equal(Sequences(3, LENGTH).unfold(batch.advantages), expected.ravel())


def test_every_sequence_is_seen_exactly_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    ppo = make_ppo(epochs=2, minibatch_size=12)  # 36 rows: 9 sequences in 3 minibatches
    seen: list[list[int]] = []
    step = ppo._step
    monkeypatch.setattr(ppo, "_step", lambda batch, rows: (seen.append(rows.tolist()), step(batch, rows))[1])
    assert ppo.update(play(ppo))["learner/updates"] == 6
    assert [len(each) for each in seen] == [3] * 6
    epochs = [[row for rows in part for row in rows] for part in (seen[:3], seen[3:])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(9)) and epochs[0] != epochs[1]


def test_a_minibatch_taken_in_parts_makes_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parted = (make_ppo(epochs=1, minibatch_size=1000, max_grad_norm=1e9) for _ in range(2))
    rollout = play(whole)
    expected = whole.update(rollout)
    monkeypatch.setitem(ROWS, "cpu", 10)  # two sequences at once
    assert parted.update(rollout) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for got, wanted in zip(parted.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(got.grad, wanted.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recorded_steps_have_the_same_bits(precision: str) -> None:
    """A gradient step with sequences can be captured as a CUDA graph."""
    eager, graphs = (on_tensors(make_ppo(precision=precision, minibatch_size=14)) for _ in range(2))
    with_graphs(graphs)
    for seed in range(3):
        rollout = play(eager, seed=seed)
        eager.update(rollout)
        graphs.update(rollout)
    assert graphs._graphs is not None and graphs._graphs._graphs
    for one, other in zip(eager.model.parameters(), graphs.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_why_a_step_was_not_taken_is_kept_row_by_row() -> None:
    ppo = make_ppo(epochs=1, minibatch_size=1000, normalize_advantage=False, normalize_return=False)
    rollout = play(ppo)
    rollout.rewards[5, 1] = np.nan
    ppo.update(rollout)
    assert ppo.fault is not None
    kept, flat = ppo.fault.arrays, rollout.observations[:-1, :, :OBS].reshape(-1, OBS)
    assert kept["rows"][0] % 3 == 1 and sorted(kept["rows"]) == list(range(36))
    np.testing.assert_array_equal(kept["observations"], flat[kept["rows"]])
    np.testing.assert_array_equal(kept["actions"], rollout.actions.ravel()[kept["rows"]])


def test_a_minibatch_below_a_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"learner\.minibatch_size=3: must be at least learner\.sequence_length=4"):
        make_ppo(minibatch_size=3)


def remembered(ppo: PPO, iterations: int, agents: int = 64, wait: int = 3) -> float:
    """Shows a side in the first step of an episode, and rewards the action of that side some steps later, 1 or else -1.
    Trains, and returns the mean reward of the last three iterations: at most 1, and 0 without a memory."""
    model, rng, size = ppo.model, np.random.default_rng(0), ppo.model.state_size
    rollout = Rollout(4 * (wait + 1), agents, 2 + size, (), np.int64)
    rewards, generator = [], torch.Generator().manual_seed(0)
    for _ in range(iterations):
        rollout.clear()
        for t in range(rollout.num_steps):
            at = t % (wait + 1)
            if at == 0:
                side, states = rng.choice([-1.0, 1.0], size=agents), np.zeros((agents, size), np.float32)
            obs = np.stack([side * (at == 0), np.full(agents, at == wait)], 1)
            inputs = np.concatenate([obs, states], 1).astype(np.float32)
            outputs = with_states(model, torch.from_numpy(inputs))
            actions, log_probs = model.head.sample_with_log_prob(outputs[:, :2], generator)
            states = outputs[:, 2:].numpy()
            reward = side * (2 * actions.numpy() - 1) * (at == wait)
            rewards.append(reward.mean() * (wait + 1))
            ends = np.full(agents, at == wait)
            rollout.add(inputs, actions, log_probs, reward, ends, ends & False, None)
        rollout.finish(inputs)
        ppo.update(rollout)
    return float(np.mean(rewards[-3 * rollout.num_steps :]))


@torch.inference_mode()
def with_states(model: AnyModel, inputs: Tensor) -> Tensor:
    return model.actor_outputs(inputs) if isinstance(model, OwnActorCritic) else model.actor_logits(inputs)


def test_what_was_seen_some_steps_ago_is_learned_with_a_memory_alone() -> None:
    settings = SETTINGS | {"learning_rate": 2e-2, "epochs": 4, "minibatch_size": 256}
    hardware, head = Hardware.choose("cpu", "fp32"), make_head("table", np.eye(8)[:2])
    hardware.seed(0)
    gru = OwnActorCritic(2, head, GRU(2, 2, 16), run, 16)
    learned = remembered(PPO(gru, hardware=hardware, sequence_length=16, **settings), 15)
    forgetful = remembered(PPO(ActorCritic(2, head, (32,)), hardware=hardware, **settings), 15)
    assert learned > 0.7 and abs(forgetful) < 0.2


def test_an_unroll_that_disagrees_with_the_steps_is_found() -> None:
    class Forgets(GRU):
        def unroll(self, observations: Tensor, states: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
            return super().unroll(observations, states, torch.ones_like(begins))

    obs = torch.randn(4, OBS)
    sound, broken = (make_ppo(lambda size, outputs, made=made: made(size, outputs, 8)).model for made in (GRU, Forgets))
    assert isinstance(sound, OwnActorCritic) and isinstance(broken, OwnActorCritic)
    assert sound.unroll_error(obs) < 1e-4 and broken.unroll_error(obs) > 0.05
    model = make_ppo(Linear, observation_size=1).model
    assert isinstance(model, OwnActorCritic) and model.unroll_error(torch.randn(4, 1)) == 0
