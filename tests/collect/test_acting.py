"""Acting in the learner's process: the same bits with any number of workers, and workers that die or fail."""

import multiprocessing
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot.collect.acting import Client, Exchange, Server, Stopped, in_arenas, in_blocks
from rlbot.learner.device_actor import DeviceActor
from rlbot.training import build
from tests.collect.test_collector import MIXED, arrays, assert_same, collector, started

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, observation_size, num_outputs, width=24):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observation_size, width), nn.Tanh())
        self.logits, self.value = nn.Linear(width, num_outputs), nn.Linear(width, 1)

    def forward(self, observations):
        x = self.body(observations)
        return self.logits(x), self.value(x)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return f"model.network={{_target_: '{(tmp_path / 'net.py').as_posix()}:Net', width: 16}}"


def test_blocks_are_of_arenas() -> None:
    assert in_arenas([0, 2, 4, 5, 9], 2) == [(0, 4), (4, 9)]
    assert in_arenas([0, 2, 4, 5], 2) == [(0, 4), (4, 5)]  # the columns of three arenas
    assert in_arenas([0, 2, 4, 5, 9], 3) == [(0, 4), (4, 5), (5, 9)]
    assert in_arenas([3, 5], 2) == [(3, 5)]


def test_each_block_is_computed_when_all_its_workers_have_asked() -> None:
    """Three workers and two blocks; the second worker has columns of both."""
    exchange = Exchange.make([(0, 2), (2, 4), (4, 6)], [(0, 3), (3, 6)], (1, 1))
    computed: list[list[float]] = []

    def forward(observations: np.ndarray) -> np.ndarray:
        computed.append(observations[:, 0].tolist())
        return observations * 10

    answers: dict[int, list[list[float]]] = {}

    def play(worker: int) -> None:
        client = Client(exchange, worker)
        answers[worker] = [
            client(np.array([[worker + step], [worker + step]], np.float32))[:, 0].tolist() for step in range(3)
        ]

    threads = [threading.Thread(target=play, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    Server(exchange, forward).serve(3, lambda _: False)
    for thread in threads:
        thread.join()
    assert sorted(computed) == sorted([each for t in range(3) for each in ([t, t, t + 1], [t + 1, t + 2, t + 2])])
    assert answers == {worker: [[10.0 * (worker + t)] * 2 for t in range(3)] for worker in range(3)}
    rows = np.arange(6, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(in_blocks(lambda x: x + len(x), exchange.blocks)(rows), rows + 3)


def test_a_new_process_is_led_through_the_steps_that_the_others_have_played() -> None:
    exchange = Exchange.make([(0, 1), (1, 2)], [(0, 1), (1, 2)], (1, 1))
    clients, played = [Client(exchange, worker) for worker in (0, 1)], []
    dead = threading.Event()

    def play(worker: int, first: int, last: int) -> None:
        for step in range(first, last):
            played.append((worker, step, clients[worker](np.full((1, 1), step, np.float32)).item()))
        if (worker, last) == (1, 2):
            dead.set()

    def is_new(worker: int) -> bool:
        """After two steps, another process takes the place of the second one, once."""
        if worker == 1 and dead.is_set():
            dead.clear()
            threading.Thread(target=play, args=(1, 0, 4)).start()
            return True
        return False

    threads = [threading.Thread(target=play, args=each) for each in ((0, 0, 4), (1, 0, 2))]
    for thread in threads:
        thread.start()
    Server(exchange, lambda observations: observations + 100).serve(4, is_new)
    for thread in threads:
        thread.join()
    assert [step for worker, step, _ in played if worker == 1][:5] == [0, 1, 0, 1, 2]
    assert all(answer == step + 100 for _, step, answer in played)


def test_a_server_that_is_told_to_stop_stops() -> None:
    server = Server(Exchange.make([(0, 1)], [(0, 1)], (1, 1)), lambda observations: observations)
    threading.Timer(0.1, server.stop).start()
    with pytest.raises(Stopped):
        server.serve(1, lambda _: False)


@pytest.mark.parametrize("acting", ["model.network", "hardware.acting=learner", "model=gru"])
def test_what_is_handed_over_does_not_depend_on_the_number_of_workers(acting: str, own: str) -> None:
    """To the last bit, also against past versions, whose networks the workers run."""
    played = []
    for workers in (0, 1, 2, 3) if acting != "model=gru" else (0, 3):
        setting = own if acting == "model.network" else acting
        with collector(f"env.workers={workers}", setting, *MIXED, stage=1) as (made, warnings):
            played.append((arrays(made), arrays(made), *made.snapshot()))
            assert not warnings
    states = [each[2].pop("car_states", np.zeros(0)) for each in played]
    assert states[0].any() == (acting == "model=gru")
    for other, nearly in zip(played[1:], states[1:], strict=True):
        # PyTorch multiplies another number of rows in another order: states of past versions have other last bits.
        np.testing.assert_allclose(nearly, states[0], atol=1e-5)
        for mine, theirs in zip(played[0][:3], other[:3], strict=True):
            assert_same(mine, theirs)
        assert played[0][3] == other[3]


def test_four_blocks_as_on_a_gpu_are_the_same_with_any_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five arenas, so that some workers have a part of one block, others of several."""
    make, played = build.DeviceActor, []

    def in_four(*arguments: Any) -> DeviceActor:
        actor = make(*arguments)
        actor.blocks = 4
        return actor

    monkeypatch.setattr(build, "DeviceActor", in_four)
    for workers in (0, 1, 3):
        with collector(f"env.workers={workers}", "hardware.acting=learner", *MIXED, stage=1) as (made, _):
            assert made._memory.exchange is not None and len(made._memory.exchange.blocks) == 4
            played.append((arrays(made), arrays(made)))
    for other in played[1:]:
        for mine, theirs in zip(played[0], other, strict=True):
            assert_same(mine, theirs)


@pytest.mark.parametrize("acting", ["hardware.acting=learner", "model=gru"])
def test_the_learner_may_change_its_weights_while_it_acts_for_the_workers(acting: str) -> None:
    """A rollout is played with the weights that were published when it began."""
    acts = [acting, "hardware.acting=learner", *MIXED]
    with collector("env.workers=0", *acts, stage=1) as (made, _):
        expected = [arrays(made), arrays(made)]
    for workers in (1, 3):
        settings = [f"env.workers={workers}", "learner.overlap=true", *acts]
        parts, made = started(*settings, stage=1)
        try:
            first = arrays(made)
            made.begin()
            for parameter in parts.model.parameters():
                parameter.data += 1.0
            assert_same(arrays(made), expected[1])
            assert_same(first, expected[0])
        finally:
            made.close()


def test_a_collector_can_be_closed_while_it_acts() -> None:
    """As when an error or Ctrl-C ends the learner. No worker is taken for dead and replaced."""
    with collector("env.workers=2", "learner.overlap=true", "hardware.acting=learner") as (made, warnings):
        made.collect()
        made.begin()
        made.close()
        assert not warnings and not any(worker.process.is_alive() for worker in made._workers)


def test_the_state_of_a_car_goes_on_until_its_episode_ends() -> None:
    """It is stored beside the observations: zeros where an episode begins, and only there, also in the next rollout."""
    with collector("env.workers=2", "model=gru", *MIXED, stage=1) as (made, _):
        one, two = arrays(made), arrays(made)
    assert not one["observations"][0, :, 180:].any()
    for rollout in (one, two):
        ended = rollout["terminated"] | rollout["truncated"]
        has_state = rollout["observations"][:, :, 180:].any(2)
        assert ended.any() and len(rollout["final_observations"])
        np.testing.assert_array_equal(has_state[1:], ~ended)
        assert rollout["final_observations"][:, 180:].any(1).all()
    np.testing.assert_array_equal(two["observations"][0], one["observations"][-1])


def test_what_a_recurrent_opponent_remembers_is_saved_and_forgotten_with_its_episode() -> None:
    with collector("env.workers=0", "model=gru", *MIXED, "curriculum.stages.outnumbered.opponent=past", stage=1) as (
        made,
        _,
    ):
        made.collect()
        shard = made._workers[0]._shard  # type: ignore[union-attr]
        opponents, fresh = shard.opponents, shard.env.steps == 0
        assert opponents.states[~fresh[opponents._car_arena]].any(1).all()
        opponents.redraw(np.array([1]), 0)
        np.testing.assert_array_equal(opponents.states.any(1), (~fresh & (np.arange(5) != 1))[opponents._car_arena])


def test_a_killed_worker_is_replaced(own: str) -> None:
    with collector("env.workers=2", own) as (made, warnings):
        made.collect()
        made.begin()
        made._workers[1].process.kill()
        rollout, _ = made.collect()
        assert len(warnings) == 1 and "worker 1" in warnings[0]
        assert np.isfinite(rollout.observations).all() and rollout.observations[:, 8].any(axis=1).all()
        made.collect()
        assert len(warnings) == 1


def test_what_a_worker_raises_ends_the_rollout(own: str, tmp_path: Path) -> None:
    code = "def bad(before, after):\n    raise KeyError('no such thing')\n"
    (tmp_path / "bad.py").write_text(code, encoding="utf-8")
    term = f"+reward.terms.bad={{_target_: '{(tmp_path / 'bad.py').as_posix()}:bad', weight: 1}}"
    with collector("env.workers=2", own, term) as (made, _), pytest.raises(ValueError, match=r"reward\.terms\.bad"):
        made.collect()


def test_the_semaphores_are_those_of_spawned_processes() -> None:
    exchange = Exchange.make([(0, 1)], [(0, 1)], (2, 3))
    assert isinstance(exchange.asked, type(multiprocessing.get_context("spawn").Semaphore(0)))
    assert [each.shape for each in exchange.arrays()] == [(1, 2), (1, 3)]
