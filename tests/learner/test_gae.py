import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rlbot.learner import gae, next_values

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float32).reshape(-1, 1)


NONE = np.zeros((0, 2), np.int64)  # no truncated row
FRACTION = st.floats(0.0, 1.0, allow_subnormal=False)  # rlbot.hardware has the process flush denormals


def flags(*values: int) -> Flags:
    return np.array(values, dtype=np.bool_).reshape(-1, 1)


def test_no_ending_bootstraps_at_the_end_of_the_rollout() -> None:
    # gamma .5, lambda .5; values 1, 2, 3 and 4 after the rollout
    # delta: 1 + .5*2 - 1 = 1;  2 + .5*3 - 2 = 1.5;  3 + .5*4 - 3 = 2
    # advantage: 2; 1.5 + .25*2 = 2; 1 + .25*2 = 1.5
    values = column(1, 2, 3, 4)
    none = flags(0, 0, 0)
    following = next_values(values, NONE, np.zeros(0, np.float32))
    advantages, returns = gae(column(1, 2, 3), values[:-1], following, none, none, 0.5, 0.5)
    assert advantages.ravel().tolist() == [1.5, 2.0, 2.0]
    assert returns.ravel().tolist() == [2.5, 4.0, 5.0]
    assert advantages.dtype == returns.dtype == np.float32


def test_termination_in_the_middle_neither_bootstraps_nor_carries_over() -> None:
    # delta: 1 + .5*2 - 1 = 1;  2 - 2 = 0 (end of the game);  3 + .5*4 - 3 = 2
    # advantage: 2; 0; 1 + .25*0 = 1. What stands behind the end is not read, NaN included.
    terminated, truncated = flags(0, 1, 0), flags(0, 0, 0)
    following = column(2, np.nan, 4)
    advantages, _ = gae(column(1, 2, 3), column(1, 2, 3), following, terminated, truncated, 0.5, 0.5)
    assert advantages.ravel().tolist() == [1.0, 0.0, 2.0]


def test_truncation_in_the_middle_bootstraps_from_its_own_final_observation() -> None:
    # The row was cut where the value was 10: delta 2 + .5*10 - 2 = 5, and nothing of the next episode.
    # advantage: 2; 5; 1 + .25*5 = 2.25
    terminated, truncated = flags(0, 0, 0), flags(0, 1, 0)
    values = column(1, 2, 3, 4)
    following = next_values(values, np.array([[1, 0]]), np.array([10.0], np.float32))
    advantages, returns = gae(column(1, 2, 3), values[:-1], following, terminated, truncated, 0.5, 0.5)
    assert advantages.ravel().tolist() == [2.25, 5.0, 2.0]
    assert returns.ravel().tolist() == [3.25, 7.0, 5.0]


def test_terminated_and_truncated_at_once_is_an_end_of_the_game() -> None:
    both = flags(1)
    following = next_values(column(1, 9), NONE, np.zeros(0, np.float32))
    advantages, _ = gae(column(3), column(1), following, both, both, 0.5, 0.5)
    assert advantages.item() == 2.0


def test_an_ending_in_the_last_row_does_not_use_the_observation_after_the_rollout() -> None:
    values, truncated, never = column(1, 100), flags(1), flags(0)
    following = next_values(values, np.array([[0, 0]]), np.array([6.0], np.float32))
    advantages, _ = gae(column(2), values[:-1], following, never, truncated, 0.5, 0.5)
    assert advantages.item() == 2.0 + 0.5 * 6.0 - 1.0


def test_final_values_go_to_their_rows_and_agents_do_not_mix() -> None:
    terminated = np.array([[0, 0], [1, 0]], dtype=np.bool_)
    truncated = np.array([[1, 1], [1, 0]], dtype=np.bool_)
    values = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
    following = next_values(values, np.array([[0, 1], [0, 0]]), np.array([80, 70], np.float32))
    assert following.tolist() == [[70, 80], [5, 6]]
    rewards = np.zeros((2, 2), np.float32)
    advantages, _ = gae(rewards, values[:-1], following, terminated, truncated, 0.5, 1.0)
    assert advantages.tolist() == [[34.0, 38.0], [-3.0, -1.0]]


def slow_advantage(
    t: int,
    a: int,
    rewards: Floats,
    values: Floats,
    following: Floats,
    term: Flags,
    trunc: Flags,
    g: float,
    lam: float,
) -> float:
    """Forward from one row to the end of its trajectory: sum of (gamma lambda)^k delta[t + k]."""
    total, weight = 0.0, 1.0
    for k in range(t, len(rewards)):
        bootstrap = 0.0 if term[k, a] else g * float(following[k, a])
        total += weight * (float(rewards[k, a]) + bootstrap - float(values[k, a]))
        if term[k, a] or trunc[k, a]:
            break
        weight *= g * lam
    return total


def discounted_return(t: int, a: int, rewards: Floats, following: Floats, term: Flags, trunc: Flags, g: float) -> float:
    total, weight = 0.0, 1.0
    for k in range(t, len(rewards)):
        total += weight * float(rewards[k, a])
        weight *= g
        if term[k, a]:
            return total
        if trunc[k, a] or k == len(rewards) - 1:
            return total + weight * float(following[k, a])
    raise AssertionError("unreachable")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3), FRACTION.map(lambda x: 0.6 * x), FRACTION)
def test_random_patterns_of_endings(seed: int, steps: int, agents: int, density: float, lam: float) -> None:
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(steps, agents)).astype(np.float32)
    values = rng.normal(size=(steps + 1, agents)).astype(np.float32)
    term, trunc = rng.random((2, steps, agents)) < density
    index = np.argwhere(trunc & ~term)
    following = next_values(values, index, rng.normal(size=len(index)).astype(np.float32))
    cells = [(t, a) for t in range(steps) for a in range(agents)]

    advantages, _ = gae(rewards, values[:-1], following, term, trunc, 0.9, lam)
    slow = [slow_advantage(t, a, rewards, values, following, term, trunc, 0.9, lam) for t, a in cells]
    np.testing.assert_allclose(advantages.ravel(), slow, rtol=1e-4, atol=1e-5)

    advantages, returns = gae(rewards, values[:-1], following, term, trunc, 0.9, 1.0)
    discounted = [discounted_return(t, a, rewards, following, term, trunc, 0.9) for t, a in cells]
    np.testing.assert_allclose(returns.ravel(), discounted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(advantages.ravel(), discounted - values[:-1].ravel(), rtol=1e-4, atol=1e-5)


def test_inputs_are_left_alone() -> None:
    values = column(1, 2, 3)
    next_values(values, np.array([[0, 0]]), np.array([9.0], np.float32))
    assert values.ravel().tolist() == pytest.approx([1, 2, 3])
