"""Endings of the user's own: which episodes they end and how, in both modes, beside goals and limits."""

import math
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlbot.env import BatchEnv, Rules
from rlbot.env.own_ending import TERMINATED, TRUNCATED, Clocks, OwnEnding, end
from rlbot.env.purity import check_purity
from rlbot.reward import Reward
from rlbot.sim import CarPlacement, Placement, State

IDLE = np.zeros((4, 8), np.float32)


def own(function: Any) -> OwnEnding:
    return OwnEnding(function, "env.ending.mine (mine.py:mine)")


def high(before: State, after: State, clocks: Clocks) -> Any:
    """The ball is high: terminated. Half a second is over: truncated."""
    return after.ball_pos[:, 2] > 300, clocks.episode > 0.49


def batch(*endings: Any, **options: Any) -> BatchEnv:
    """Two arenas; the ball of the second is high in the air."""
    env = BatchEnv([(1, 1)] * 2, Reward([]), {"kickoff": 1.0}, endings=[own(each) for each in endings], **options)
    env.reset(seed=0)
    cars = [CarPlacement((1000.0, 0.0, 17.0), 0.0), CarPlacement((-1000.0, 0.0, 17.0), 0.0)]
    env.arenas.place(1, Placement(cars, (0.0, 0.0, 1000.0)), env.state)
    return env


def test_what_terminates_and_what_truncates() -> None:
    env = batch(high)
    obs, _, terminated, truncated, info = env.step(IDLE)
    assert env.ended.tolist() == [0, TERMINATED]
    assert terminated.tolist() == [False, False, True, True] and not truncated.any()
    assert info["final_info"]["ended"].tolist() == [0, 0, TERMINATED, TERMINATED]
    assert env.final_obs[2, 2] == pytest.approx(1000 / 2300, abs=1e-2) and obs[2, 2] == pytest.approx(
        93 / 2300, abs=1e-3
    )
    assert env.clocks.episode.tolist() == [pytest.approx(8 / 120), 0]
    for _ in range(6):
        assert not env.step(IDLE)[4]
    terminated, truncated = env.step(IDLE)[2:4]
    assert truncated.tolist() == [True, True, False, False] and not terminated.any() and env.ended[0] == TRUNCATED


def test_in_the_other_mode_the_last_observation_is_returned_and_the_next_step_resets() -> None:
    env = batch(high, autoreset_mode=AutoresetMode.NEXT_STEP)
    obs, _, terminated, _, info = env.step(IDLE)
    assert terminated[2] and info["ended"][2] == TERMINATED and obs[2, 2] == pytest.approx(1000 / 2300, abs=1e-2)
    obs, _, terminated, truncated, _ = env.step(IDLE)
    assert not (terminated | truncated).any() and obs[2, 2] == pytest.approx(93 / 2300, abs=1e-3)
    assert env.clocks.episode[1] == 0


def test_a_goal_and_a_step_that_was_undone_come_before_them() -> None:
    state, clocks = State(7), Clocks(np.zeros(7), np.zeros(7))
    before = np.array([0, 1, 2, 3, 4, 0, 3])

    def some(_: State, after: State, clocks: Clocks) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return np.arange(7) < 5, np.arange(7) >= 5

    assert end([own(some)], state, state, clocks, before).tolist() == [TERMINATED, 1, 2, TERMINATED, 4, TRUNCATED, 3]
    both = [own(lambda *_: (False, True)), own(some)]
    assert end(both, state, state, clocks, before).tolist() == [TERMINATED, 1, 2, TERMINATED, 4, TRUNCATED, 3]
    assert end([own(lambda *_: (False, False))], state, state, clocks, before).tolist() == before.tolist()


def test_a_goal_in_play_is_a_goal() -> None:
    env = batch(lambda before, after, clocks: (after.blue_score > before.blue_score, False))
    cars = [CarPlacement((3000.0, 0.0, 17.0), 0.0), CarPlacement((-3000.0, 0.0, 17.0), 0.0)]
    env.arenas.place(0, Placement(cars, (0.0, 5000.0, 200.0), (0.0, 5000.0, 0.0)), env.state)
    ends: list[int] = []
    while not any(ends) and len(ends) < 20:
        env.step(IDLE)
        ends.append(int(env.ended[0]))
    assert ends[-1] == 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda *_: np.zeros(2, bool), r"returns bool of shape \(2,\); it must be \(terminated, truncated\)"),
        (
            lambda *_: (np.zeros(4, bool), False),
            r"returns bool of shape \(4,\) as terminated; it must be booleans of sh",
        ),
        (lambda *_: (False, np.zeros(2)), r"returns float64 of shape \(2,\) as truncated"),
        (lambda before, *_: before.ball_pos.fill(0), "fails: ValueError: assignment destination is read-only"),
        (lambda *_: math.sqrt(-1), "fails: ValueError: math domain error"),
    ],
)
def test_a_wrong_one_is_named(function: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^env\.ending\.mine \(mine\.py:mine\) {message}") as caught:
        batch(function).step(IDLE)
    assert len(str(caught.value).splitlines()) == 1


def test_one_that_keeps_state_or_looks_over_the_arenas_is_refused() -> None:
    calls: list[int] = []

    def counting(before: State, after: State, clocks: Clocks) -> Any:
        calls.append(1)
        return len(calls) % 2 == 0, False

    def together(before: State, after: State, clocks: Clocks) -> Any:
        return np.full(len(after), len(after) > 8), False

    def check(function: Any) -> None:
        rules = Rules(no_touch_limit=0.2)
        check_purity(BatchEnv([(1, 1), (1, 2)], Reward([]), {"anywhere": 1.0}, rules, endings=[own(function)]))

    check(high)
    for wrong, told in ((counting, "when it is called again"), (together, "beside it")):
        with pytest.raises(ValueError, match=rf"^env\.ending\.mine \(mine\.py:mine\): .*{told}"):
            check(wrong)
