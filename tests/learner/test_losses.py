import math

import pytest
import torch

from rlbot.learner.losses import approximate_kl, importance, policy_loss, value_loss


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "slope"),
    [
        (1.1, 2.0, -2.2, -2.0),  # inside the range: the plain surrogate
        (1.5, 2.0, -2.4, 0.0),  # better by far: clipped to 1.2, no gradient
        (1.5, -2.0, 3.0, 2.0),  # worse by far: not clipped, so that it is taken back
        (0.5, -2.0, 1.6, 0.0),  # already much rarer: clipped to 0.8, no gradient
        (0.5, 2.0, -1.0, -2.0),  # rarer though good: not clipped
    ],
)
def test_policy_loss_clips_one_side_only(ratio: float, advantage: float, expected: float, slope: float) -> None:
    x = torch.tensor([ratio], requires_grad=True)
    loss = policy_loss(x, torch.tensor([advantage]), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert x.grad is not None and x.grad.item() == pytest.approx(slope)


def test_each_row_has_its_own_policy_loss() -> None:
    loss = policy_loss(torch.tensor([1.1, 1.5]), torch.tensor([2.0, 2.0]), 0.2)
    assert loss.tolist() == pytest.approx([-2.2, -2.4])


def test_a_row_weighs_by_how_much_more_probable_it_became_and_at_most_twice() -> None:
    new, behaviour = torch.log(torch.tensor([0.3, 0.1, 0.5])), torch.log(torch.tensor([0.2, 0.4, 0.1]))
    assert importance(new, behaviour).tolist() == pytest.approx([1.5, 0.25, 2.0])


def test_value_loss() -> None:
    values, returns, old = torch.tensor([2.0, 1.0]), torch.tensor([5.0, 1.0]), torch.tensor([1.0, 1.0])
    assert value_loss(values, returns, old, None).tolist() == pytest.approx([0.5 * 9.0, 0.0])
    # clipped to 1.5: error 3.5, the worse of the two
    assert value_loss(values, returns, old, 0.5).tolist() == pytest.approx([0.5 * 3.5**2, 0.0])
    # the value overshoots: clipped to 1.5 it would look better, the plain error counts
    overshoot = value_loss(torch.tensor([9.0]), torch.tensor([1.0]), torch.tensor([1.0]), 0.5)
    assert overshoot.item() == pytest.approx(0.5 * 64.0)


def test_kl_by_hand() -> None:
    log_ratio = torch.tensor([0.0, math.log(2.0)])
    assert approximate_kl(log_ratio, log_ratio.exp()).tolist() == pytest.approx([0.0, 1.0 - math.log(2.0)])
