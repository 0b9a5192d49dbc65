import numpy as np
import pytest

from rlbot.collect.rollout import Rollout, Shape

T, A, OBS = 3, 2, 4


def step(rollout: Rollout, value: float, terminated: list[int], truncated: list[int]) -> None:
    rollout.add(
        np.full((A, OBS), value, np.float32),
        np.array([int(value), int(value) + 1]),
        np.full(A, -value),
        np.array([value, 10 * value]),
        np.array(terminated, dtype=bool),
        np.array(truncated, dtype=bool),
        np.array([[100 + value] * OBS, [200 + value] * OBS], np.float32),
    )


@pytest.fixture
def rollout() -> Rollout:
    rollout = Rollout(T, A, OBS, (), np.int64)
    step(rollout, 0, [0, 0], [0, 1])
    step(rollout, 1, [1, 0], [0, 0])
    step(rollout, 2, [1, 0], [1, 1])
    return rollout


def test_its_arrays_begin_at_lines_of_the_cache_wherever_the_memory_does() -> None:
    shape = Shape(T, A, OBS, (), np.int64)
    for offset in (0, 8, 24):
        memory = np.zeros(Rollout.num_bytes(shape) + offset, np.uint8)[offset:]
        found = Rollout(*shape, memory=memory)
        arrays = (found.observations, found.actions, found.log_probs, found.rewards, found.terminated, found.truncated)
        assert [each.ctypes.data % 64 for each in arrays] == [0] * 6
    assert Rollout(*shape).observations.ctypes.data % 64 == 0


def test_every_step_is_stored_where_it_belongs(rollout: Rollout) -> None:
    rollout.finish(np.full((A, OBS), 3.0))
    assert rollout.observations[:, :, 0].tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert rollout.actions.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert rollout.log_probs.tolist() == [[0, 0], [-1, -1], [-2, -2]]
    assert rollout.rewards.tolist() == [[0, 0], [1, 10], [2, 20]]
    assert rollout.terminated.tolist() == [[False, False], [True, False], [True, False]]
    assert rollout.truncated.tolist() == [[False, True], [False, False], [True, True]]


def test_final_observations_are_kept_in_order_for_truncated_rows_that_did_not_terminate(
    rollout: Rollout,
) -> None:
    assert rollout.final_observations.tolist() == [[200] * OBS, [202] * OBS]


def test_final_observations_stand_in_one_order_whoever_handed_them_over(rollout: Rollout) -> None:
    rollout.clear()
    for where in ([[2, 0], [5, 0]], [[5, 1]], [[0, 1], [2, 1]]):  # three workers
        rollout.add_final(np.array(where), np.array([[10 * t + a] * OBS for t, a in where], np.float32))
    assert rollout.final_index.tolist() == [[0, 1], [2, 0], [2, 1], [5, 0], [5, 1]]
    assert rollout.final_observations[:, 0].tolist() == [1, 20, 21, 50, 51]


def test_too_many_and_too_few_steps_are_refused(rollout: Rollout) -> None:
    with pytest.raises(RuntimeError, match="already holds its 3 steps"):
        step(rollout, 3, [0, 0], [0, 0])
    rollout.clear()
    with pytest.raises(RuntimeError, match="0 of 3 steps"):
        rollout.finish(np.zeros((A, OBS)))


def test_clearing_forgets_the_steps_and_their_final_observations(rollout: Rollout) -> None:
    rollout.finish(np.zeros((A, OBS)))
    rollout.clear()
    assert not rollout.finished and rollout.final_observations.shape == (0, OBS)
    step(rollout, 5, [0, 0], [0, 0])
    assert rollout.observations[0, 0, 0] == 5.0


def test_actions_of_several_numbers_and_a_step_without_final_observations() -> None:
    rollout = Rollout(1, A, OBS, (8,), np.float32)
    never = np.zeros(A, dtype=bool)
    actions = np.random.default_rng(0).random((A, 8)).astype(np.float32)
    rollout.add(np.zeros((A, OBS)), actions, np.zeros(A), np.zeros(A), never, never, None)
    np.testing.assert_array_equal(rollout.actions[0], actions)


def test_a_row_of_the_wrong_shape_is_not_broadcast(rollout: Rollout) -> None:
    rollout.clear()
    never = np.zeros(A, dtype=bool)
    with pytest.raises(AssertionError, match="expected"):
        rollout.add(np.zeros((A, OBS)), np.zeros(A), np.zeros(A), np.zeros(1), never, never, None)
