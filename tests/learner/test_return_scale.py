import numpy as np
import pytest

from rlbot.learner import ReturnScale
from rlbot.learner.gae import Flags, Floats


def rows(*values: list[float]) -> Floats:
    return np.array(values, dtype=np.float32)


def flags(*values: list[int]) -> Flags:
    return np.array(values, dtype=np.bool_)


def test_by_hand_with_an_ending_and_across_rollouts() -> None:
    scale = ReturnScale(0.5)
    assert scale.scale == 1.0
    # agent 0: 4, 4*.5 + 0 = 2 and ends; agent 1: 0, 2
    scale.update(rows([4, 0], [0, 2]), flags([0, 0], [1, 0]))
    assert scale.scale == pytest.approx(np.std([4, 2, 0, 2]))
    # agent 0 starts anew: 1; agent 1 goes on: 2*.5 + 1 = 2
    scale.update(rows([1, 1]), flags([0, 0]))
    assert scale.scale == pytest.approx(np.std([4, 2, 0, 2, 1, 2]))


def test_equal_returns_do_not_blow_rewards_up() -> None:
    scale = ReturnScale(0.5)
    scale.update(rows([0, 0], [0, 0]), flags([0, 0], [0, 0]))
    assert scale.scale == 1.0


def test_another_number_of_agents_starts_their_sums_at_zero_and_keeps_the_statistics() -> None:
    scale = ReturnScale(0.5)
    scale.update(rows([4, 0]), flags([0, 0]))
    scale.update(rows([1, 2, 3]), flags([0, 0, 0]))
    assert scale.scale == pytest.approx(np.std([4, 0, 1, 2, 3]))


def test_a_restart_forgets_what_was_seen_when_the_next_rollout_comes() -> None:
    scale = ReturnScale(0.5)
    scale.update(rows([4, 0], [4, 8]), flags([0, 0], [0, 0]))  # 4, 0, 6, 8
    before = scale.scale
    scale.restart()
    assert scale.scale == before == pytest.approx(np.std([4, 0, 6, 8]))
    scale.update(rows([100, 300]), flags([0, 0]))  # of new episodes: nothing is left of the sums 6 and 8
    assert scale.scale == pytest.approx(100.0)


def test_rewards_that_are_not_finite_leave_it_as_it_was() -> None:
    scale = ReturnScale(0.5)
    scale.update(rows([4, 0]), flags([0, 0]))
    scale.update(rows([np.nan, 1]), flags([0, 0]))
    scale.update(rows([np.inf, 1]), flags([0, 0]))
    assert scale.scale == pytest.approx(2.0)
    assert scale.running.tolist() == [4.0, 0.0]


def test_state_goes_on_to_the_last_bit_and_is_a_copy() -> None:
    rng = np.random.default_rng(0)
    first, second = ReturnScale(0.9), ReturnScale(0.9)
    batches = [(rng.normal(size=(5, 3)).astype(np.float32), rng.random((5, 3)) < 0.2) for _ in range(2)]
    first.update(*batches[0])
    state = first.state()
    first.update(*batches[1])
    second.load_state(state)
    second.update(*batches[1])
    assert first.scale == second.scale and np.array_equal(first.running, second.running)
