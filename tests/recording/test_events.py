"""Events are found where a state differs from the one before, and not across cuts."""

import numpy as np

from rlbot.recording import Event, find_events
from rlbot.sim import PAD_POSITION, State


def quiet(frames: int) -> State:
    """Four cars far from everything."""
    states = State(frames)
    states.present[:] = 1
    states.car_pos[:] = [[0, -5000, 17], [500, -5000, 17], [0, 5000, 17], [500, 5000, 17]]
    return states


def ticks(frames: int) -> np.ndarray:
    return np.arange(frames, dtype=np.int32) * 8


def test_nothing_happens() -> None:
    assert find_events(quiet(5), ticks(5)) == []
    assert find_events(quiet(1), ticks(1)) == []


def test_a_goal_belongs_to_the_last_of_its_team_to_touch() -> None:
    states = quiet(6)
    states.car_touched[1, 0] = states.car_touched[2, 1] = states.car_touched[3, 2] = 1
    states.blue_score[5] = 1
    assert find_events(states, ticks(6)) == [
        Event(8, "touch", 0, 0), Event(16, "touch", 0, 1), Event(24, "touch", 1, 2), Event(40, "goal", 0, 1),
    ]  # fmt: skip


def test_shots_and_saves_are_those_that_are_counted() -> None:
    states = quiet(5)
    states.ball_pos[:] = [0, 3000, 93]
    states.ball_vel[2, 1] = 2500  # on its way into orange's goal
    states.car_touched[2, 1] = states.car_touched[3, 2] = 1
    assert find_events(states, ticks(5)) == [
        Event(16, "shot", 0, 1), Event(16, "touch", 0, 1), Event(24, "save", 1, 2), Event(24, "touch", 1, 2),
    ]  # fmt: skip


def test_an_own_goal_has_no_scorer() -> None:
    states = quiet(4)
    states.car_touched[1, 0] = 1
    states.orange_score[3] = 1
    assert find_events(states, ticks(4))[-1] == Event(24, "goal", 1, None)


def test_a_touch_of_an_earlier_episode_scores_nothing() -> None:
    states = quiet(6)
    states.car_touched[1, 0] = 1
    states.blue_score[5] = 1
    cut = np.array([0, 8, 16, 16, 24, 32], np.int32)
    assert find_events(states, cut)[-1] == Event(32, "goal", 0, None)


def test_a_touch_that_lasts_is_one_event() -> None:
    states = quiet(5)
    states.car_touched[1:4, 3] = 1
    assert find_events(states, ticks(5)) == [Event(8, "touch", 1, 3)]


def test_a_demolition_names_both() -> None:
    states = quiet(4)
    states.car_is_demoed[2:, 2] = 1
    states.car_demos[2:, 1] = 1
    assert find_events(states, ticks(4)) == [Event(16, "demolition", 0, 1, 2)]


def test_a_pad_is_taken_by_the_nearest_car() -> None:
    states = quiet(4)
    states.car_pos[:, 3, :2] = PAD_POSITION[33] + 50
    states.pad_timer[2:, 33] = [4.0, 3.93]
    assert find_events(states, ticks(4)) == [Event(16, "pad", 1, 3, 33)]


def test_a_cut_is_no_event() -> None:
    states = quiet(3)
    states.pad_timer[1:, 3] = 4.0
    states.car_is_demoed[1:, 0] = 1
    states.blue_score[1:] = 1
    assert find_events(states, np.array([0, 0, 8], np.int32)) == []
