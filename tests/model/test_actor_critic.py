import math

import pytest
import torch
import torch.nn.functional as F

from rlbot.model.actor_critic import ActorCritic, _output
from rlbot.model.heads import MultiDiscreteHead, make_head

OBS = 12


@pytest.mark.parametrize("shared_trunk", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_acting_and_evaluating_agree(shared_trunk: bool, layer_norm: bool, activation: str) -> None:
    torch.manual_seed(0)
    model = ActorCritic(OBS, MultiDiscreteHead(), (16, 8), layer_norm, activation, shared_trunk)
    obs = torch.randn(5, OBS)
    with torch.inference_mode():
        actions, log_prob = model.act(obs, generator=torch.Generator().manual_seed(1))
    again, entropy, value = model.evaluate(obs, actions.clone())
    torch.testing.assert_close(again, log_prob.clone())
    torch.testing.assert_close(value, model.value(obs))
    assert entropy.shape == value.shape == (5,)
    (again.sum() + entropy.sum() + value.sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_layers_are_linear_then_norm_then_activation() -> None:
    torch.manual_seed(0)
    model = ActorCritic(OBS, MultiDiscreteHead(), (16, 8))
    x = obs = torch.randn(5, OBS)
    for linear, norm in zip(model.actor_trunk.linears, model.actor_trunk.norms, strict=True):
        x = torch.relu(norm(linear(x)))
    torch.testing.assert_close(model.actor_logits(obs), model.actor_output(x))


def test_acting_deterministically_takes_the_most_likely_action() -> None:
    model = ActorCritic(OBS, make_head("table", torch.zeros(4, 8)), (8,))
    obs = torch.randn(20, OBS)
    actions, log_prob = model.act(obs, deterministic=True)
    log_probs = model.actor_logits(obs).log_softmax(-1)
    torch.testing.assert_close(log_prob, log_probs.max(-1).values)
    assert torch.equal(actions, log_probs.argmax(-1))


def test_weights_are_orthogonal_with_the_stated_gains() -> None:
    model = ActorCritic(OBS, MultiDiscreteHead(), (32, 32))
    hidden = model.actor_trunk.linears[1].weight
    torch.testing.assert_close(hidden @ hidden.T, 2.0 * torch.eye(32), rtol=0.0, atol=1e-5)
    output = model.actor_output.weight
    torch.testing.assert_close(output @ output.T, 1e-4 * torch.eye(21), rtol=0.0, atol=1e-8)
    assert model.critic_output.weight.norm().item() == pytest.approx(1.0)
    # A fresh policy is close to uniform, whatever it sees.
    _, entropy, _ = model.evaluate(torch.randn(50, OBS), torch.zeros(50, 8, dtype=torch.int64))
    assert entropy.min().item() > 0.999 * (5 * math.log(3) + 3 * math.log(2))


def test_under_autocast_outputs_are_float32_and_close() -> None:
    torch.manual_seed(0)
    model = ActorCritic(OBS, MultiDiscreteHead(), (64, 64))
    obs = torch.randn(9, OBS)
    with torch.autocast("cpu", torch.bfloat16):
        logits, value = model.actor_logits(obs), model.value(obs)
    assert logits.dtype == value.dtype == torch.float32
    torch.testing.assert_close(logits, model.actor_logits(obs), rtol=0.0, atol=1e-3)
    assert not torch.equal(value, model.value(obs)), "the hidden layers did not run in bf16"
    torch.testing.assert_close(value, model.value(obs), rtol=0.0, atol=0.05)


def test_the_last_layer_is_float32_and_its_gradient_nearly() -> None:
    layer, x, seed = torch.nn.Linear(64, 90), torch.randn(300, 64, dtype=torch.bfloat16), torch.randn(300, 90)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = _output(layer, x)
    expected = F.linear(x.float(), layer.weight, layer.bias)
    assert torch.equal(result, expected)
    inputs = (x, layer.weight, layer.bias)
    gradients = (torch.autograd.grad(each, inputs, seed) for each in (result, expected))
    for rough, exact in zip(*gradients, strict=True):
        assert rough.dtype == exact.dtype
        assert (rough - exact).norm() < 0.01 * exact.norm()


def test_wrong_networks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.activation='swoosh'.*relu"):
        ActorCritic(OBS, MultiDiscreteHead(), activation="swoosh")
    with pytest.raises(ValueError, match=r"model\.hidden=\[\]"):
        ActorCritic(OBS, MultiDiscreteHead(), ())
    with pytest.raises(ValueError, match=r"model\.hidden=\[8, 0\]"):
        ActorCritic(OBS, MultiDiscreteHead(), (8, 0))
