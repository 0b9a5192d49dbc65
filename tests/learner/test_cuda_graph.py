"""Gradient steps as CUDA graphs. Where there is no GPU, a stand-in for a graph on the CPU shows that a step can be
captured: it calls the operations that the step called again, on the same tensors, and runs no line of Python."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rlbot.collect.rollout import Rollout
from rlbot.hardware import SINGLE, Hardware
from rlbot.learner import PPO
from rlbot.learner.batch import Batch
from rlbot.learner.batch_shard import BatchShard
from rlbot.learner.cuda_graph import CudaGraph, StepGraphs
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from tests.learner.conftest import OBS, ON_GPU, SETTINGS, TABLE, Backend, MakePPO, MakeRollout

HEADS = ["table", "multi_discrete", "continuous"]
READS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2")


@pytest.fixture(autouse=True)
def pytorchs_layers() -> Iterator[None]:
    """On one thread hidden layers in bf16 are no operations of PyTorch, so that a `Recorder` would not see them."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


class Recorder(TorchDispatchMode):
    """Keeps the operations that are called, with their tensors. Raises RuntimeError, as a capture does, at one for
    which the host would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if function.overloadpacket.__name__ in READS:
            raise RuntimeError(f"{function} waits for the device")
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result


class Recorded(CudaGraph):
    """A stand-in for a CUDA graph, on the CPU."""

    def __init__(self, function: Callable[[], Tensor], beside: CudaGraph | None = None) -> None:
        for _ in range(3):
            function()
        with Recorder() as recorder:
            self._result = function()
        self._calls = recorder.calls

    @torch.no_grad()
    def replay(self) -> Tensor:
        for function, args, kwargs, result in self._calls:
            for old, new in zip(tree_leaves(result), tree_leaves(function(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)
        return self._result.clone()


def on_tensors(ppo: PPO) -> PPO:
    """A PPO on the CPU with the numbers that change as tensors, as on a GPU: they are rounded to float32."""
    ppo._optimizer.param_groups[0]["lr"] = torch.tensor(ppo.learning_rate)
    ppo._ramps = [torch.tensor(each) for each in ppo._ramps]
    return ppo


def with_graphs(ppo: PPO) -> PPO:
    """Makes a PPO on the CPU take its steps by recorded graphs, and nothing else."""
    ppo._graphs = ppo._make_graphs(Recorded)
    ppo._warn = pytest.fail
    return ppo


def without_graphs(ppo: PPO) -> PPO:
    ppo._graphs = None
    return ppo


def rollouts(ppo: PPO, make_rollout: MakeRollout, masks: bool) -> list[Rollout]:
    """48 rows in minibatches of 9 and 10; twice the same; such with a reward that is not finite; 45 rows, as if another
    stage had begun; 48 again."""
    make = partial(make_rollout, ppo, masks=masks)
    broken = make(seed=2)
    broken.rewards[3, 1] = np.nan
    return [make(), make(seed=1), broken, make(9, 5, seed=3), make(seed=4)]


def learn(ppo: PPO, given: list[Rollout]) -> list[Any]:
    """Updates with ramps, a constant that the user changes, and an update that is made, taken back and made again;
    returns all that they tell and leave behind."""
    told: list[Any] = []
    for turn, rollout in enumerate(given):
        ppo.learning_rate, ppo.clip_range, ppo.entropy_coef = 3e-3 / (turn + 1), 0.2 / (turn + 1), 0.1 / (turn + 1)
        ppo.value_coef = 0.5 if turn < 4 else 1.0
        told.append(ppo.update(rollout))
    weights = {name: each.clone() for name, each in ppo.model.state_dict().items()}
    state = ppo.state()
    again = []
    for _ in range(2):
        ppo.model.load_state_dict(weights)
        ppo.load_state(*state)
        again.append(ppo.update(given[0]))
    assert repr(again[0]) == repr(again[1])
    tensors, meta = ppo.state()
    everything = [*ppo.model.state_dict().values(), *tensors.values()]
    return [*told, again[0], meta, [each.cpu().tolist() for each in everything]]


MASKED = [*((head, False) for head in HEADS), ("table", True)]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "scaled"])
@pytest.mark.parametrize(("head", "masks"), MASKED)
def test_recorded_steps_have_the_same_bits(
    head: str, masks: bool, precision: str, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    def make() -> PPO:
        ppo = make_ppo(head, "bf16" if precision == "bf16" else "fp32", minibatch_size=10)
        if precision == "scaled":  # the scaler of fp16, whose scale the first steps must lower
            ppo._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**122)
        return on_tensors(ppo)

    given = rollouts(make(), make_rollout, masks)
    plain, graphed = make(), with_graphs(make())
    assert repr(learn(graphed, given)) == repr(learn(plain, given))  # there may be NaN
    assert graphed._graphs is not None and sorted(graphed._graphs._graphs) == [9, 10]


@pytest.mark.parametrize("backend", ON_GPU)
@pytest.mark.parametrize(("head", "masks"), MASKED)
def test_captured_steps_have_the_same_bits(
    head: str, masks: bool, backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    def make() -> PPO:
        ppo = make_ppo(head, *backend, minibatch_size=10, warn=pytest.fail)
        if backend[0] == "fp16":
            ppo._scaler = torch.amp.GradScaler("cuda", init_scale=2.0**22)  # too large: the first steps overflow
        return ppo

    given = rollouts(make(), make_rollout, masks)
    graphed = make()
    told = learn(graphed, given)
    assert graphed._graphs is not None and sorted(graphed._graphs._graphs) == [9, 10]
    assert repr(told) == repr(learn(without_graphs(make()), given))
    assert backend[0] != "fp16" or told[0]["learner/bad_updates"] > 0


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_a_step_that_waits_for_the_device_is_taken_without_a_graph(
    kind: type[Exception], make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    """ValueError: a network of the user's own, whose exceptions are turned into it."""
    lines: list[str] = []
    plain, graphed = on_tensors(make_ppo()), with_graphs(on_tensors(make_ppo()))
    for ppo in (plain, graphed):
        ppo._scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        evaluate = ppo.model.evaluate

        def waits(obs: Tensor, actions: Tensor, masks: Tensor, evaluate: Any = evaluate) -> Any:
            try:
                assert obs.sum().item() is not None
            except RuntimeError as error:
                raise kind(str(error)) from error
            return evaluate(obs, actions, masks)

        ppo.model.evaluate = waits  # type: ignore[method-assign]
    graphed._warn = lines.append
    for seed in range(2):
        rollout = make_rollout(plain, seed=seed)
        assert graphed.update(rollout) == plain.update(rollout)
    assert len(lines) == 1 and "Updates take several times as long" in lines[0] and "waits for the device" in lines[0]
    assert graphed.state()[1] == plain.state()[1]
    for mine, theirs in zip(graphed.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_batch_is_copied_to_where_the_graphs_read_it(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo()
    batch, _ = ppo._prepare(make_rollout(ppo))
    blank = batch.blank()
    floats = [each for each in blank.columns().values() if each.is_floating_point()]
    assert len(floats) == 5 and all(each.isnan().all() for each in floats) and not blank.actions.any()
    assert blank.is_like(batch) and not blank.is_like(ppo._prepare(make_rollout(ppo, 5))[0])
    places = {name: each.data_ptr() for name, each in blank.columns().items()}
    blank.copy_(batch)
    assert places == {name: each.data_ptr() for name, each in blank.columns().items()}
    assert all(torch.equal(each, getattr(batch, name)) for name, each in blank.columns().items())


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_on_a_gpu_all_operations_of_a_step_would_be_there(
    head: str, scaled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On fake tensors, which have a device and no numbers: an operation on tensors of two devices fails, and so does
    one whose result the host would have to know. Autograd's own part needs a GPU."""
    lists: list[Any] = []
    with FakeTensorMode(), torch.device("cuda"):
        ppo = PPO(
            ActorCritic(OBS, make_head(head, TABLE), (32, 32)),
            hardware=Hardware(torch.device("cuda", 0), "fp32", ""),
            **SETTINGS,
        )
        ppo._scaler = torch.amp.GradScaler("cpu", enabled=scaled)  # PyTorch turns one for a GPU off where there is none
        monkeypatch.setattr(torch, "_fused_adam_", lambda *args, **kwargs: lists.append((args, kwargs)))

        def differentiate(loss: Tensor, seed: Tensor) -> None:
            assert loss.device == seed.device == ppo.hardware.device
            for parameter in ppo._parameters:
                parameter.grad = torch.zeros_like(parameter)

        monkeypatch.setattr(torch.autograd, "backward", differentiate)
        actions = torch.zeros(48, *ppo.model.head.action_shape, device="cuda")
        columns = [torch.zeros(48, OBS), actions.to(torch.from_numpy(np.zeros(1, ppo.model.head.action_dtype)).dtype)]
        masks = torch.full((48, 2 if head == "table" else 0), 255, dtype=torch.uint8)
        batch = Batch(BatchShard(SINGLE, 4), *columns, masks, *(torch.zeros(48) for _ in range(4)))
        graphs = StepGraphs(ppo._step, partial(_Called, ppo.hardware.device))  # type: ignore[arg-type]
        graphs.capture(batch, [9, 10])
        graphs.load(batch)
        graphs.step(torch.arange(9))
        ppo.learning_rate = 1e-3
    assert lists
    for args, kwargs in lists:
        assert isinstance(kwargs["lr"], Tensor)
        used = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        assert {each.device for each in used} == {ppo.hardware.device}


class _Called(CudaGraph):
    """Calls the function."""

    def __init__(self, device: torch.device, function: Callable[[], Tensor], beside: CudaGraph | None) -> None:
        self._function, self._device = function, device

    def replay(self) -> Tensor:
        result = self._function()
        assert result.device == self._device
        return result
