import copy
import json

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlbot.collect.rollout import Rollout
from rlbot.hardware.hardware import ROWS
from rlbot.learner import PPO, diagnosis, gae, next_values
from tests.learner.conftest import GPU, ON_GPU, Backend, MakePPO, MakeRollout

HEADS = ["table", "multi_discrete", "continuous"]


def weights(ppo: PPO) -> dict[str, Tensor]:
    return copy.deepcopy(ppo.model.state_dict())


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def reference_step(ppo: PPO, rollout: Rollout) -> dict[str, Tensor]:
    """One full-batch step written after CleanRL, with plain PyTorch; returns the weights after it."""
    model, device = copy.deepcopy(ppo.model), ppo.hardware.device
    term, trunc = rollout.terminated, rollout.truncated
    with torch.no_grad():
        values = torch.stack([model.value(obs) for obs in torch.from_numpy(rollout.observations).to(device)]).cpu()
        finals = model.value(torch.from_numpy(rollout.final_observations).to(device)).cpu()
    running, sums = np.zeros(rollout.num_agents), []
    for t in range(rollout.num_steps):
        running = running * ppo._prepare.gamma + rollout.rewards[t].astype(np.float64)
        sums.append(running)
        running = running * ~(term[t] | trunc[t])
    rewards = (rollout.rewards / np.std(sums)).astype(np.float32)
    following = next_values(values.numpy(), rollout.final_index, finals.numpy())
    arrays = gae(rewards, values[:-1].numpy(), following, term, trunc, ppo._prepare.gamma, ppo._prepare.gae_lambda)
    advantages, returns = (torch.from_numpy(each).flatten().to(device) for each in arrays)
    advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)

    optimizer = torch.optim.Adam(model.parameters(), lr=ppo.learning_rate, eps=1e-5)
    obs = torch.from_numpy(rollout.observations[:-1]).flatten(0, 1).to(device)
    actions = torch.from_numpy(rollout.actions).flatten(0, 1).to(device)
    log_prob, entropy, value = model.evaluate(obs, actions)
    ratio = (log_prob - torch.from_numpy(rollout.log_probs).flatten().to(device)).exp()
    surrogate = torch.max(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean()
    loss = surrogate - 0.01 * entropy.mean() + 0.5 * (0.5 * ((value - returns) ** 2).mean())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize("head", HEADS)
def test_one_step_equals_an_independent_reference(
    head: str, device: str, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    ppo = make_ppo(head, device=device, epochs=1, minibatch_size=1000)
    rollout = make_rollout(ppo)
    assert len(rollout.final_observations) > 0 and rollout.terminated.any()
    before, expected = weights(ppo), reference_step(ppo, rollout)
    ppo.update(rollout)
    assert not torch.equal(before["actor_output.weight"], expected["actor_output.weight"])
    for name, tensor in ppo.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("head", HEADS)
def test_before_the_first_step_the_ratio_is_one(
    head: str, backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    ppo = make_ppo(head, *backend, epochs=1, minibatch_size=1000)
    rollout = make_rollout(ppo)
    if backend[0] != "fp32":
        rollout.log_probs += 0.1  # as if acting had rounded otherwise: they are computed anew
    metrics = ppo.update(rollout)
    # A GPU may round a row otherwise where it stands beside others.
    near = 1e-5 if backend[1] == "cpu" else 1e-3 if backend[0] == "fp32" else 2e-2
    assert metrics["policy/ratio_max"] == pytest.approx(1.0, abs=2 * near)
    assert metrics["policy/kl"] == pytest.approx(0.0, abs=0.1 * near)
    assert metrics["policy/clip_fraction"] == 0.0 and metrics["learner/updates"] == 1.0
    # standardised advantages average to zero, and so does the surrogate at ratio one
    assert metrics["loss/policy"] == pytest.approx(0.0, abs=near)


def test_rows_of_an_earlier_policy_are_weighed_and_clipped_around_the_present_one(
    make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    ppo, same = (make_ppo(epochs=1, minibatch_size=1000, overlap=overlap) for overlap in (True, False))
    rollout = make_rollout(ppo)
    change = np.random.default_rng(0).uniform(-0.5, 0.5, rollout.log_probs.shape).astype(np.float32)
    present = rollout.log_probs.copy()
    rollout.log_probs -= change  # as if acting had been by a policy that found some actions less probable, some more
    metrics = ppo.update(rollout)
    assert metrics["policy/ratio_max"] == pytest.approx(1.0, abs=2e-5) and metrics["policy/clip_fraction"] == 0.0

    rollout.log_probs[:] = present
    batch, _ = same._prepare(rollout)
    weighed = batch.advantages.numpy() * np.exp(change.ravel())
    assert metrics["loss/policy"] == pytest.approx(-weighed.mean(), abs=1e-5)
    assert abs(weighed.mean()) > 0.01


@pytest.mark.parametrize("head", HEADS)
def test_a_minibatch_taken_in_parts_makes_the_same_step(
    head: str, make_ppo: MakePPO, make_rollout: MakeRollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parted = (make_ppo(head, epochs=1, minibatch_size=1000, max_grad_norm=1e9) for _ in range(2))
    rollout = make_rollout(whole)  # 48 rows
    rollout.log_probs += np.random.default_rng(0).normal(size=rollout.log_probs.shape).astype(np.float32) * 0.2
    expected = whole.update(rollout)
    monkeypatch.setitem(ROWS, "cpu", 7)  # six parts and one of six rows
    assert parted.update(rollout) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert expected["policy/clip_fraction"] > 0.0 and expected["learner/updates"] == 1.0
    gradients = zip(parted.model.parameters(), whole.model.parameters(), strict=True)
    for got, wanted in gradients:
        torch.testing.assert_close(got.grad, wanted.grad, rtol=1e-4, atol=1e-6)


class HostReads(TorchDispatchMode):
    """Notes the operations for which the host would wait for a GPU: what they return depends on what was computed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = function.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2"):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("head", HEADS)
def test_the_steps_of_an_update_do_not_wait_for_the_device(
    head: str, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    for target_kl, waits in ((None, 0), (1e9, 1)):  # once an epoch but the last, to know whether to stop
        ppo = make_ppo(head, target_kl=target_kl)
        batch, _ = ppo._prepare(make_rollout(ppo))
        with HostReads() as host:
            ppo._optimize(batch)
        assert host.seen == ["_local_scalar_dense"] * waits


def test_every_row_is_seen_exactly_once_an_epoch_in_another_order(
    make_ppo: MakePPO, make_rollout: MakeRollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    ppo = make_ppo(minibatch_size=8, epochs=3)
    rollout = make_rollout(ppo, num_steps=7, num_agents=3)  # 21 rows: three minibatches of seven
    parts: list[list[int]] = []
    step = ppo._step
    monkeypatch.setattr(ppo, "_step", lambda batch, rows: parts.append(rows.tolist()) or step(batch, rows))
    ppo.update(rollout)
    assert [len(part) for part in parts] == [7] * 9
    epochs = [[row for part in parts[i : i + 3] for row in part] for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(21)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize(("rows", "size", "count"), [((5, 2), 100, 1), ((5, 2), 4, 2), ((11, 1), 3, 4), ((9, 1), 1, 9)])
def test_number_of_minibatches(
    rows: tuple[int, int], size: int, count: int, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    ppo = make_ppo(minibatch_size=size, epochs=1)
    assert ppo.update(make_rollout(ppo, *rows))["learner/updates"] == count


@pytest.mark.parametrize("head", HEADS)
def test_continuing_from_a_saved_state_is_exact(
    head: str, backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    straight = make_ppo(head, *backend)
    rollouts = [make_rollout(straight, seed=seed) for seed in range(2)]
    straight.update(rollouts[0])
    model_state = weights(straight)
    tensors, meta = straight.state()
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    expected = straight.update(rollouts[1])
    assert_same(tensors, kept)  # what was saved does not change with the learner

    resumed = make_ppo(head, *backend, learning_rate=1.0, seed=99)
    resumed.update(rollouts[1])  # leaves traces everywhere, all of which the state must replace
    resumed.model.load_state_dict(model_state)
    resumed.load_state(tensors, json.loads(json.dumps(meta)))
    assert resumed.update(rollouts[1]) == expected
    assert_same(weights(resumed), weights(straight))
    assert_same(resumed.state()[0], straight.state()[0])


def test_a_state_from_before_the_first_update_can_be_loaded(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    fresh, used = make_ppo(), make_ppo()
    rollout = make_rollout(fresh)
    model_state = weights(fresh)
    used.update(rollout)
    used.model.load_state_dict(model_state)
    used.load_state(*fresh.state())
    fresh.update(rollout)
    used.update(rollout)
    assert_same(weights(fresh), weights(used))


def test_the_state_of_another_model_is_refused(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo("multi_discrete")
    ppo.update(make_rollout(ppo))
    with pytest.raises(ValueError, match=r"does not fit head\.log_std(.|\n)*model settings"):
        make_ppo("continuous").load_state(*ppo.state())
    with pytest.raises(ValueError, match=r"does not fit actor_output\.weight"):
        make_ppo("table").load_state(*ppo.state())


def test_the_same_seed_repeats_and_the_global_generator_is_not_used(
    make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    results = []
    for seed, noise in ((1, 0), (1, 1), (2, 0)):
        ppo = make_ppo(seed=seed)
        rollout = make_rollout(ppo)
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        ppo.update(rollout)
        assert torch.equal(before, torch.get_rng_state())
        results.append(weights(ppo)["actor_output.weight"])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_several_threads_give_the_same_bits_every_time(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    """Another number of threads may not: sums are then shared out otherwise."""
    results = []
    rollout = make_rollout(make_ppo(), num_steps=32, num_agents=64)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(3):
            ppo = make_ppo(minibatch_size=1024)
            ppo.update(rollout)
            results.append(weights(ppo))
    finally:
        torch.set_num_threads(before)
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_a_reward_that_is_not_finite_changes_nothing_and_is_counted(
    backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    for value in (float("nan"), float("inf")):
        ppo = make_ppo("table", *backend)
        ppo.update(make_rollout(ppo))
        before, state = weights(ppo), ppo.state()[0]
        broken = make_rollout(ppo, seed=1)
        broken.rewards[3, 1] = value
        metrics = ppo.update(broken)
        assert metrics["learner/bad_updates"] == metrics["learner/updates"] == 6.0
        assert np.isnan(metrics["loss/total"])
        assert_same(weights(ppo), before)
        after = ppo.state()[0]
        assert not torch.equal(state.pop("generator"), after.pop("generator"))
        assert_same(after, state)  # nor moments, step counts or return statistics
        assert ppo.update(make_rollout(ppo, seed=2))["learner/bad_updates"] == 0.0


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_why_a_step_was_not_taken_is_told_and_kept(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo(epochs=1, normalize_advantage=False, normalize_return=False)
    rollout = make_rollout(ppo)
    ppo.update(rollout)
    assert ppo.fault is None
    rollout.rewards[3, 1] = np.nan
    ppo.update(rollout)
    assert ppo.fault is not None and ppo.fault.name == "loss/policy (advantages, returns not finite)"
    kept = ppo.fault.arrays
    assert np.isnan(kept["returns"][0])  # the worst first
    flat = rollout.observations[:-1].reshape(48, -1)
    np.testing.assert_array_equal(kept["observations"], flat[kept["rows"]])

    rollout = make_rollout(ppo)
    rollout.rewards[:] = 1e20  # its square is more than a float32 holds, its advantages are not
    ppo.update(rollout)
    assert ppo.fault.name.startswith("loss/value (advantages reach ") and "e+2" in ppo.fault.name

    named, rows = {"a": torch.ones(2), "b": torch.ones(1)}, {"advantages": torch.ones(3), "returns": torch.ones(3)}
    told = diagnosis.cause(named, {"loss/total": 1.0}, rows, lambda: (None, torch.tensor([torch.inf])))
    assert told == "the gradient of b (advantages reach 1, returns reach 1, weights reach 1)"

    with torch.no_grad():
        ppo.model.actor_output.bias[0] = torch.nan
    ppo.update(make_rollout(make_ppo()))
    assert ppo.fault.name == "the weights of actor_output.bias"


def test_a_scaler_that_looks_for_its_scale_is_no_fault(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo(epochs=1, value_coef=100.0)
    ppo._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    rollout = make_rollout(ppo)
    assert ppo.update(rollout)["learner/bad_updates"] > 0 and ppo.fault is None
    rollout.rewards[0, 0] = np.nan
    ppo.update(rollout)
    assert ppo.fault is not None


def test_one_gradient_that_is_not_finite_costs_one_step_only(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo(epochs=1, normalize_advantage=False)
    rollout = make_rollout(ppo)
    rollout.log_probs[3, 1] = -1000.0  # the ratio overflows; a bad action makes the loss infinite
    rollout.rewards[3, 1] = -1000.0
    before = weights(ppo)
    metrics = ppo.update(rollout)
    assert metrics["learner/bad_updates"] == 1.0 and metrics["learner/updates"] == 3.0
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(tensor.isfinite().all() for tensor in weights(ppo).values())
    assert not torch.equal(before["actor_output.weight"], weights(ppo)["actor_output.weight"])


def test_a_loss_that_is_not_finite_is_not_descended_though_its_gradient_is(make_ppo: MakePPO) -> None:
    ppo = make_ppo()
    before = weights(ppo)
    ppo._backward(sum(p.sum() for p in ppo.model.parameters()) + torch.tensor(float("inf")))
    assert ppo._descend()[1] == 1.0
    assert_same(weights(ppo), before)


def test_gradient_scaling_changes_no_result_and_skips_alike(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    plain, scaled = make_ppo(), make_ppo()
    # The scaler of fp16, on the CPU: a power of two scales without rounding.
    scaled._scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    rollout = make_rollout(plain)
    plain.update(rollout)
    scaled.update(rollout)
    assert_same(weights(plain), weights(scaled))
    tensors, meta = scaled.state()
    rollout.rewards[0, 0] = float("nan")
    assert scaled.update(rollout)["learner/bad_updates"] == 6.0
    assert_same(weights(plain), weights(scaled))
    assert scaled.state()[1]["scaler"]["scale"] == 1024.0 / 2**6
    scaled.load_state(tensors, json.loads(json.dumps(meta)))
    assert scaled.state()[1]["scaler"]["scale"] == 1024.0


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("start", "bound"), [(-4.9, -5.0), (0.9, 1.0)])
def test_a_spread_at_its_bound_comes_back(
    start: float, bound: float, scaled: bool, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    ppo = make_ppo("continuous", learning_rate=0.05, entropy_coef=-10.0, value_coef=0.0)
    if scaled:
        ppo._scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    log_std = ppo.model.head.log_std
    with torch.no_grad():
        log_std.fill_(start)
    rollout = make_rollout(ppo)
    rollout.rewards[:] = 0.0  # nothing but the entropy is learned from
    for _ in range(2):
        ppo.update(rollout)
    assert log_std.tolist() == [bound] * 8
    rollout.rewards[0, 0] = np.nan
    assert ppo.update(rollout)["learner/bad_updates"] > 0 and log_std.tolist() == [bound] * 8
    rollout.rewards[:] = 0.0
    ppo.entropy_coef = 10.0
    for _ in range(5):
        ppo.update(rollout)
    assert (log_std - bound).abs().min() > 0.05


def test_the_learning_rate_can_be_annealed(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo()
    rollout = make_rollout(ppo)
    before = weights(ppo)
    ppo.learning_rate = 0.0
    assert ppo.update(rollout)["learner/learning_rate"] == 0.0
    assert_same(weights(ppo), before)
    ppo.learning_rate = 1e-3
    assert ppo.update(rollout)["learner/learning_rate"] == 1e-3
    assert not torch.equal(before["actor_output.weight"], weights(ppo)["actor_output.weight"])


def test_target_kl_stops_after_the_first_epoch_that_exceeds_it(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ran = {}
    for target in (None, 1e9, 1e-9):
        ppo = make_ppo(target_kl=target, epochs=4)
        ran[target] = ppo.update(make_rollout(ppo))["learner/updates"]
    assert ran == {None: 12.0, 1e9: 12.0, 1e-9: 3.0}


def test_gradient_is_clipped_to_its_norm(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    first = make_ppo(epochs=1, minibatch_size=1000, max_grad_norm=1e-3)
    assert first.update(make_rollout(first))["learner/gradient_norm"] > 1e-3  # as it was before clipping
    norm = torch.cat([p.grad.flatten() for p in first.model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("backend", [pytest.param(("bf16", "cpu"), id="cpu-bf16"), *ON_GPU])
def test_elsewhere_is_learned_nearly_what_fp32_on_the_cpu_learns(
    backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    exact, rough = make_ppo(), make_ppo("table", *backend)
    rollout = make_rollout(exact)
    first, second = exact.update(rollout), rough.update(rollout)
    assert backend[0] == "fp32" or first["loss/value"] != second["loss/value"]
    assert second["loss/value"] == pytest.approx(first["loss/value"], rel=0.05)
    assert second["learner/bad_updates"] == 0.0
    assert all(p.dtype == torch.float32 for p in rough.model.parameters())


@pytest.mark.parametrize("backend", [pytest.param(("bf16", "cpu"), id="cpu-bf16"), *ON_GPU])
def test_the_gradient_elsewhere_is_nearly_that_in_fp32_on_the_cpu(
    backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    settings = {"epochs": 1, "minibatch_size": 10_000, "max_grad_norm": 1e9}
    exact, rough = make_ppo(**settings), make_ppo("table", *backend, **settings)
    rollout = make_rollout(exact, num_steps=64, num_agents=16)
    exact.update(rollout)
    rough.update(rollout)
    for name, parameter in exact.model.named_parameters():
        # Rewards are noise here: the gradients of the rows nearly cancel out, their rounding does not.
        error = rough.model.get_parameter(name).grad.cpu() - parameter.grad  # type: ignore[union-attr]
        assert error.norm() < 0.15 * parameter.grad.norm(), name  # type: ignore[union-attr]


def test_metrics_describe_the_rollout(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo(normalize_return=False, learning_rate=0.0)
    rollout = make_rollout(ppo)
    with torch.no_grad():
        values = torch.stack([ppo.model.value(obs) for obs in torch.from_numpy(rollout.observations)]).numpy()
        finals = ppo.model.value(torch.from_numpy(rollout.final_observations)).numpy()
    term, trunc = rollout.terminated, rollout.truncated
    following = next_values(values, rollout.final_index, finals)
    advantages, returns = gae(rollout.rewards, values[:-1], following, term, trunc, 0.9, 0.95)
    metrics = ppo.update(rollout)
    assert metrics["value/return_scale"] == 1.0
    assert metrics["value/mean"] == pytest.approx(values[:-1].mean(), rel=1e-4)
    assert metrics["advantage/mean"] == pytest.approx(advantages.mean(), rel=1e-4)
    assert metrics["advantage/std"] == pytest.approx(advantages.std(), rel=1e-4)
    expected = 1.0 - (returns - values[:-1]).var() / returns.var()
    assert metrics["value/explained_variance"] == pytest.approx(expected, abs=1e-4)
    assert metrics["loss/value"] == pytest.approx(0.5 * ((values[:-1] - returns) ** 2).mean(), rel=1e-3)


@pytest.mark.parametrize("backend", ON_GPU)
@pytest.mark.parametrize("head", HEADS)
def test_a_gpu_is_not_waited_for(head: str, backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    ppo = make_ppo(head, *backend)
    ppo.update(make_rollout(ppo))  # what is set up on first use may wait
    batch, _ = ppo._prepare(make_rollout(ppo, seed=1))
    rows = torch.arange(10, device="cuda")
    torch.cuda.set_sync_debug_mode("error")  # raises where the host waits
    try:
        ppo._step(batch, rows)
    finally:
        torch.cuda.set_sync_debug_mode("default")
