"""Two processes with a part of the rollout each make the same update as one with all of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from rlbot.collect.rollout import Rollout
from rlbot.hardware import SINGLE, Group, Hardware
from rlbot.learner import PPO
from rlbot.learner.batch_shard import BatchShard
from rlbot.learner.cuda_graph import CudaGraph
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.model.own import AnyModel, OwnActorCritic
from rlbot.networks import GRU
from rlbot.processes.torchrun import World
from tests.learner.conftest import OBS, SETTINGS, TABLE
from tests.learner.test_cuda_graph import Recorded, on_tensors
from tests.learner.test_recurrent import run
from tests.together import together

STEPS, AGENTS = 7, 3  # rank 0 plays one agent, rank 1 two
CASES: dict[str, dict[str, Any]] = {
    "usual": {"minibatch_size": 8},
    "a process without a row of a minibatch": {"minibatch_size": 1, "epochs": 1},
    "early stop": {"minibatch_size": 8, "epochs": 5, "target_kl": 1e-4},
    "the same, each row by itself": {
        "minibatch_size": 1,
        "epochs": 1,
        "normalize_advantage": False,
        "normalize_return": False,
    },
    "as it comes": {"minibatch_size": 8, "normalize_advantage": False, "normalize_return": False},
    "recurrent": {"minibatch_size": 8, "sequence_length": 4},
}
STATE = 8  # of the recurrent network


class Fixed(Group):
    """Not a process, but the place of one: what it would hear from the others is given."""

    counts = (2, 3)

    def gather(self, value: Any) -> list[Any]:
        return list(self.counts)


def test_rows_of_the_whole_batch_and_where_they_lie() -> None:
    whole = torch.tensor([7, 0, 4, 9, 3, 1])  # two steps of 2 + 3 agents: step = row // 5, agent = row % 5
    first, second = (BatchShard(Fixed(World(rank, 2)), count) for rank, count in ((0, 2), (1, 3)))
    assert (first.start, first.stop, second.start, second.stop, first.agents) == (0, 2, 2, 5, 5)
    assert first.rows(whole).tolist() == [0, 1]  # of 0 and 1: step 0, agents 0 and 1
    assert second.rows(whole).tolist() == [3, 2, 5, 1]  # of 7, 4, 9 and 3: (1, 0), (0, 2), (1, 2), (0, 1)
    assert torch.equal(BatchShard(SINGLE, 5).rows(whole), whole)


def test_moments_are_of_all_rows() -> None:
    mean, deviation = BatchShard(SINGLE, 2).moments(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
    assert mean.tolist() == [2.0, 5.0] and deviation.tolist() == [1.0, 0.0]


def rollout(
    seed: int, start: int, stop: int, broken: bool = False, steps: int = STEPS, input_size: int = OBS
) -> Rollout:
    """The agents [start, stop) of a rollout of AGENTS; `broken`: with rewards of agent 1, the first of rank 1, that are
    NaN."""
    rng = np.random.default_rng(seed)
    part = Rollout(steps, stop - start, input_size, (), np.int64)
    for _ in range(steps):
        obs, final_obs = rng.normal(size=(2, AGENTS, input_size))
        actions, rewards = rng.integers(0, len(TABLE), AGENTS), rng.normal(size=AGENTS)
        terminated, truncated = rng.random((2, AGENTS)) < 0.15
        log_probs = np.log(1 / len(TABLE)) + rng.normal(size=AGENTS) * 0.1
        rewards[1] = np.nan if broken else rewards[1]
        every = (obs, actions, log_probs, rewards, terminated, truncated, final_obs)
        part.add(*(each[start:stop] for each in every))
    part.finish(rng.normal(size=(AGENTS, input_size))[start:stop])
    return part


class Called(CudaGraph):
    """No graph: calls the function."""

    def __init__(self, function: Callable[[], torch.Tensor], beside: CudaGraph | None = None) -> None:
        self.replay = function  # type: ignore[method-assign]


def learn(group: Group, graph: type[CudaGraph] | None = None, device: str = "cpu") -> dict[str, Any]:
    """Metrics, faults, weights and running sums of three updates of each case, the second from a broken rollout. graph:
    takes the gradient steps."""
    start, stop = ((0, 1), (1, AGENTS))[group.rank] if group.size > 1 else (0, AGENTS)
    hardware = Hardware(torch.device(device), "fp32", "", group)
    found = {}
    for name, settings in CASES.items():
        hardware.seed(3)
        head, shape = make_head("table", TABLE), {}
        model: AnyModel = ActorCritic(OBS, head, (32, 32))
        if name == "recurrent":
            model, shape = OwnActorCritic(OBS, head, GRU(OBS, len(TABLE), STATE), run, STATE), {"steps": 8}
            shape["input_size"] = OBS + STATE
        ppo = PPO(model.to(hardware.device), hardware=hardware, warn=pytest.fail, **{**SETTINGS, **settings})
        if graph is not None:
            ppo = on_tensors(ppo) if device == "cpu" else ppo
            ppo._graphs = ppo._make_graphs(graph)
        metrics, faults = [], []
        for seed in range(3):
            metrics.append(ppo.update(rollout(seed, start, stop, broken=seed == 1, **shape)))
            faults.append(ppo.fault.name if ppo.fault else None)
        state = ppo.state()[0] | ppo.model.state_dict()
        found[name] = metrics, faults, {key: each.cpu().tolist() for key, each in state.items()}
    return found


def assert_alike(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, (metrics, faults, state) in found.items():
        expected_metrics, expected_faults, expected_state = expected[name]
        assert faults == expected_faults, name
        for mine, theirs in zip(metrics, expected_metrics, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-6, nan_ok=True), name
        for key, each in state.items():
            np.testing.assert_allclose(each, expected_state[key], rtol=1e-5, atol=2e-6, err_msg=f"{name}: {key}")


def test_two_processes_update_as_one() -> None:
    alone = learn(SINGLE)
    for found in together(learn):
        assert_alike(found, alone)
    bad, fault = alone["usual"][0][1], alone["usual"][1][1]
    assert bad["learner/bad_updates"] == bad["learner/updates"] > 0 and "not finite" in fault  # the broken rollout's
    assert alone["early stop"][0][0]["learner/updates"] < 15


def assert_graphs_update_as_one(graph: type[CudaGraph], device: str) -> None:
    """Each process fills its rows up with rows that do not count. A graph gives the bits of the functions in it."""
    alone = learn(SINGLE, device=device)
    plain, graphed = (together(partial(learn, graph=each, device=device)) for each in (Called, graph))
    assert repr(graphed) == repr(plain)
    for found in graphed:
        assert_alike(found, alone)


def test_two_processes_update_as_one_by_graphs() -> None:
    assert_graphs_update_as_one(Recorded, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_two_processes_update_as_one_by_cuda_graphs() -> None:
    assert_graphs_update_as_one(CudaGraph, "cuda:0")


def test_a_rank_has_room_for_nearly_every_minibatch() -> None:
    first = BatchShard(Fixed(World(0, 2)), 2)  # two of five agents
    assert first.room(10) == 10 and first.room(1000) == 512  # 400 + 6 * sqrt(1000 * 0.4 * 0.6) = 493
    assert BatchShard(SINGLE, 5).room(1000) == 1000
