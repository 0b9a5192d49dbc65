import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal, TanhTransform, TransformedDistribution

from rlbot.model.heads import ContinuousHead, Head, MultiDiscreteHead, TableHead, make_head, masked

TABLE = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], size=(90, 8))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["table", "multi_discrete", "continuous"])
def head(request: pytest.FixtureRequest) -> Head:
    return make_head(request.param, TABLE)


def test_every_head_keeps_its_shapes_and_types(head: Head) -> None:
    logits = torch.randn(7, head.num_outputs, generator=generator())
    actions, log_prob = head.sample_with_log_prob(logits, generator())
    for each in (actions, head.sample(logits), head.mode(logits)):
        assert each.shape == (7, *head.action_shape) and each.detach().numpy().dtype == head.action_dtype
    again, entropy = head.log_prob_entropy(logits, actions)
    assert again.shape == entropy.shape == (7,) and again.dtype == entropy.dtype == torch.float32
    torch.testing.assert_close(log_prob, again)
    controls = head.controls(actions)
    assert controls.shape == (7, 8) and controls.dtype == torch.float32
    assert controls.abs().max() <= 1.0 and controls[:, 5:].min() >= (-1.0 if head.num_outputs == 90 else 0.0)


def test_the_same_generator_state_draws_the_same_and_the_global_one_is_not_used(head: Head) -> None:
    logits = torch.randn(7, head.num_outputs, generator=generator())
    before = torch.get_rng_state()
    first, second = head.sample(logits, generator(5)), head.sample(logits, generator(5))
    assert torch.equal(first, second) and torch.equal(before, torch.get_rng_state())


def test_half_precision_logits_give_float32(head: Head) -> None:
    logits = torch.randn(7, head.num_outputs, generator=generator())
    actions = head.mode(logits)
    for low, exact in zip(
        head.log_prob_entropy(logits.bfloat16(), actions), head.log_prob_entropy(logits, actions), strict=True
    ):
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, exact, rtol=0.02, atol=0.1)


def test_table_controls_are_the_rows_of_the_table() -> None:
    head = TableHead(TABLE)
    assert np.array_equal(head.controls(torch.arange(90)).numpy(), TABLE.astype(np.float32))
    assert head.mode(torch.eye(90)).tolist() == list(range(90))
    assert "table" in head.state_dict()


def test_a_mask_leaves_the_distribution_of_the_allowed_actions() -> None:
    """Probabilities 1 to 10 of 55, of which the mask leaves 2, 4 and 10: 1/8, 1/4 and 5/8."""
    logits = torch.arange(1.0, 11.0).log().repeat(3, 1).requires_grad_()
    masks = torch.tensor([[0b00001010, 0b00000010]] * 3, dtype=torch.uint8)
    log_prob, entropy = make_head("table", TABLE[:10]).log_prob_entropy(masked(logits, masks), torch.tensor([1, 3, 9]))
    assert log_prob.exp().tolist() == pytest.approx([1 / 8, 1 / 4, 5 / 8])
    bits = (3 / 8 + 2 / 4) * math.log(2) + 5 / 8 * math.log(8 / 5)
    assert entropy.tolist() == pytest.approx([bits] * 3)
    (log_prob + 0.7 * entropy).sum().backward()
    assert logits.grad is not None
    forbidden = [0, 2, 4, 5, 6, 7, 8]
    assert not logits.grad[:, forbidden].any() and logits.grad[:, [1, 3, 9]].all()
    assert masked(logits, None) is logits and masked(logits, masks[:, :0]) is logits


def test_table_log_probabilities_and_entropy() -> None:
    logits = 3.0 * torch.randn(50, 90, generator=generator())
    actions = torch.randint(90, (50,), generator=generator())
    reference = Categorical(logits=logits)
    log_prob, entropy = TableHead(TABLE).log_prob_entropy(logits, actions)
    torch.testing.assert_close(log_prob, reference.log_prob(actions))
    torch.testing.assert_close(entropy, reference.entropy())


def test_table_draws_with_the_right_frequencies_and_never_the_impossible() -> None:
    probs = torch.zeros(90)
    probs[[3, 40, 88]] = torch.tensor([0.5, 0.3, 0.2])
    draws = TableHead(TABLE).sample(probs.log().clamp(min=-1e9).expand(40_000, 90), generator())
    shares = torch.bincount(draws, minlength=90) / 40_000
    torch.testing.assert_close(shares, probs, rtol=0.0, atol=0.01)
    assert torch.all(shares[probs == 0.0] == 0.0)


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2.0**-24])
def test_the_ends_of_the_random_range_never_draw_the_impossible(
    uniform: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, uniform))
    logits = torch.randn(500, 90, generator=generator())
    logits[:, [0, 1, 88, 89]] = -1e9
    draws, log_prob = TableHead(TABLE).sample_with_log_prob(logits)
    assert draws.unique().tolist() == [2 if uniform == 0.0 else 87] and log_prob.isfinite().all()
    buttons = MultiDiscreteHead().sample(torch.randn(500, 21, generator=generator()))[:, 5:]
    assert buttons.max() <= 1


def test_multi_discrete_log_probabilities_and_entropy() -> None:
    head = MultiDiscreteHead()
    logits = 2.0 * torch.randn(50, 21, generator=generator())
    actions = head.sample(logits, generator())
    parts = [Categorical(logits=each) for each in logits.split([3, 3, 3, 3, 3, 2, 2, 2], -1)]
    log_prob, entropy = head.log_prob_entropy(logits, actions)
    torch.testing.assert_close(log_prob, sum(part.log_prob(actions[:, i]) for i, part in enumerate(parts)))
    torch.testing.assert_close(entropy, sum(part.entropy() for part in parts))


def test_multi_discrete_covers_all_controls_and_presses_no_third_button() -> None:
    head = MultiDiscreteHead()
    controls = head.controls(head.sample(torch.zeros(20_000, 21), generator()))
    for axis in range(5):
        assert controls[:, axis].unique().tolist() == [-1.0, 0.0, 1.0]
    for button in range(5, 8):
        assert controls[:, button].unique().tolist() == [0.0, 1.0]
    logits = torch.zeros(1, 21)
    logits[0, [0, 5, 7, 9, 14, 15, 18, 20]] = 5.0  # the choices hold throttle back, steer right, ...
    assert head.controls(head.mode(logits)).tolist() == [[-1.0, 1.0, 0.0, -1.0, 1.0, 0.0, 1.0, 1.0]]


def test_continuous_log_probability_matches_a_transformed_gaussian() -> None:
    head = ContinuousHead()
    with torch.no_grad():
        head.log_std.copy_(torch.linspace(-1.0, 0.5, 8))
    means = torch.randn(50, 8, generator=generator())
    actions = head.sample(means, generator())
    reference = TransformedDistribution(
        Normal(means.double(), head.log_std.double().exp()), [TanhTransform()], validate_args=False
    ).log_prob(actions.double().tanh())
    torch.testing.assert_close(
        head.log_prob_entropy(means, actions)[0], reference.sum(-1).float(), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.8, -1.0), (-1.5, 0.7)])
def test_continuous_density_integrates_to_one_and_to_its_entropy(mean: float, log_std: float) -> None:
    head = ContinuousHead()
    with torch.no_grad():
        head.log_std.fill_(log_std)
    before_tanh = torch.linspace(-12.0, 12.0, 40_001, dtype=torch.float64)
    actions = before_tanh.float().unsqueeze(-1).expand(-1, 8)
    means = torch.full((len(actions), 8), mean)
    log_prob, entropy = (each.double() / 8 for each in head.log_prob_entropy(means, actions))
    # dy = (1 - tanh(a)^2) da: integrates the density of y = tanh(a), on a grid that resolves its edges.
    slope = 1.0 / before_tanh.cosh().square()
    assert torch.trapezoid(log_prob.exp() * slope, before_tanh).item() == pytest.approx(1.0, abs=1e-4)
    expected = torch.trapezoid(-log_prob * log_prob.exp() * slope, before_tanh).item()
    assert entropy[0].item() == pytest.approx(expected, abs=5e-3)


def test_continuous_spreads_beyond_their_bounds_are_brought_back_and_have_a_gradient_at_them() -> None:
    """Those of a checkpoint, too: earlier versions let the parameter run away from what was played."""
    head = ContinuousHead()
    head.load_state_dict({"log_std": torch.tensor([-7.0, -5.0, -1.0, 0.0, 0.5, 1.0, 1.5, 9.0])})
    assert head.log_std.tolist() == [-5.0, -5.0, -1.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    head.log_prob_entropy(torch.zeros(1, 8), torch.zeros(1, 8))[1].sum().backward()
    assert head.log_std.grad is not None and head.log_std.grad.abs().min() > 0.1


def test_continuous_stays_exact_where_tanh_has_saturated() -> None:
    head = ContinuousHead()
    log_prob, _ = head.log_prob_entropy(torch.full((1, 8), 20.0), torch.full((1, 8), 20.0))
    # log(1 - tanh(20)^2) = 2 (log 2 - 20) to 17 digits
    expected = 8 * (-0.5 * np.log(2 * np.pi) - 2 * (np.log(2.0) - 20.0))
    assert log_prob.item() == pytest.approx(expected, rel=1e-6)


def test_continuous_buttons_are_pressed_above_zero() -> None:
    actions = torch.tensor([[0.5, -0.5, 0.0, 9.0, -9.0, 0.1, -0.1, 0.0]])
    expected = torch.tensor([[0.46211716, -0.46211716, 0.0, 1.0, -1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(ContinuousHead().controls(actions), expected)


def test_wrong_heads_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.action_head='wheel'"):
        make_head("wheel")
    with pytest.raises(ValueError, match=r"model\.action_head=table needs an action table"):
        make_head("table")
    with pytest.raises(ValueError, match=r"shape \(90, 7\)"):
        make_head("table", TABLE[:, :7])
