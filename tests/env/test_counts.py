"""Shots, saves, passes and own goals on states made by hand: one step after another, of arenas of two against two."""

from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.env.counts import COUNTS, NOBODY, count
from rlbot.reward import Reward
from rlbot.sim import State
from tests.conftest import random_controls, turned
from tests.reward.situations import state

MIDDLE = ((0, 0, 93), (0, 0, 0))
AT_ORANGE = ((0, 2500, 93), (0, 2500, 0))  # on its way into the goal at y > 0
AT_BLUE = ((0, -2500, 93), (0, -2500, 0))
WIDE = ((0, 2500, 93), (2500, 2500, 0))
IN_ORANGE = ((0, 5300, 93), (0, 2500, 0))
IN_BLUE = ((0, -5300, 93), (0, -2500, 0))
BLUE, MATE, ORANGE, OTHER = range(4)

# Steps as (slots that touch, the ball after it), from a ball in the middle; what every slot is counted, by name.
STORIES: dict[str, tuple[list[tuple[list[int], Any]], dict[str, list[int]]]] = {
    "a shot": ([([BLUE], AT_ORANGE)], {"shots": [1, 0, 0, 0]}),
    "a shot that goes wide": ([([BLUE], WIDE)], {}),
    "a ball that goes there by itself": ([([], AT_ORANGE)], {}),
    "a second touch of a shot": ([([BLUE], AT_ORANGE), ([BLUE], AT_ORANGE)], {"shots": [1, 0, 0, 0]}),
    "a shot in the step in which it is in": ([([ORANGE], IN_BLUE)], {"shots": [0, 0, 1, 0]}),
    "a shot that a mate takes over": (
        [([BLUE], AT_ORANGE), ([MATE], AT_ORANGE)],
        {"shots": [1, 0, 0, 0], "passes": [1, 0, 0, 0]},
    ),
    "a save": ([([BLUE], AT_ORANGE), ([OTHER], WIDE)], {"shots": [1, 0, 0, 0], "saves": [0, 0, 0, 1]}),
    "a save that fails": (
        [([BLUE], AT_ORANGE), ([OTHER], AT_ORANGE), ([], IN_ORANGE)],
        {"shots": [1, 0, 0, 0]},
    ),
    "a shooter who turns his own shot away": ([([BLUE], AT_ORANGE), ([BLUE], WIDE)], {"shots": [1, 0, 0, 0]}),
    "a save that is a shot": (
        [([ORANGE], AT_BLUE), ([BLUE], AT_ORANGE)],
        {"shots": [1, 0, 1, 0], "saves": [1, 0, 0, 0]},
    ),
    "an own goal": ([([BLUE], AT_BLUE), ([], IN_BLUE)], {"own_goals": [1, 0, 0, 0]}),
    "an own goal off the wall": ([([ORANGE], AT_BLUE), ([BLUE], WIDE), ([BLUE], WIDE), ([], IN_BLUE)],
                                 {"shots": [0, 0, 1, 0], "saves": [1, 0, 0, 0], "own_goals": [1, 0, 0, 0]}),
    "an own goal that a mate cannot stop": (
        [([BLUE], AT_BLUE), ([MATE], AT_BLUE), ([], IN_BLUE)],
        {"passes": [1, 0, 0, 0], "own_goals": [1, 0, 0, 0]},
    ),
    "an own goal that the other team helps in": ([([BLUE], AT_BLUE), ([ORANGE], AT_BLUE), ([], IN_BLUE)], {}),
    "a pass": ([([ORANGE], WIDE), ([OTHER], WIDE)], {"passes": [0, 0, 1, 0]}),
    "a pass and back": ([([BLUE], WIDE), ([MATE], WIDE), ([BLUE], WIDE)], {"passes": [1, 1, 0, 0]}),
    "no pass to an opponent": ([([BLUE], WIDE), ([ORANGE], WIDE), ([MATE], WIDE)], {}),
    "no pass to oneself": ([([BLUE], WIDE), ([], WIDE), ([BLUE], WIDE)], {}),
    "two at once": ([([BLUE], WIDE), ([BLUE, ORANGE], WIDE), ([MATE], WIDE)], {}),
    "two at once, and in": ([([BLUE, ORANGE], AT_BLUE), ([], IN_BLUE)], {"shots": [0, 0, 1, 0]}),
}  # fmt: skip


def told(steps: list[tuple[list[int], Any]], other_side: bool) -> dict[str, list[int]]:
    """What `count` adds up for the four cars of arena 1; arena 0 is empty of events, arena 2 waits."""
    before, counts, last = story_state(MIDDLE, [], (0, 0)), np.zeros((12, len(COUNTS))), np.full((3, 2), NOBODY)
    arena, slot = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    waiting, score = np.array([False, False, True]), (0, 0)
    for touching, ball in steps:
        score = (score[0] + (ball is IN_ORANGE), score[1] + (ball is IN_BLUE))
        after = story_state(ball, touching, score)
        states = (turned(before), turned(after)) if other_side else (before, after)
        count(states[0].arenas, states[1].arenas, states[0].cars, states[1].cars, arena, slot, waiting, last, counts)
        before = after
    assert not counts[8:].any() and (counts[:4, COUNTS.index("shots")] == 0).all()
    rows = counts[4:8][[2, 3, 0, 1]] if other_side else counts[4:8]
    names = ("shots", "saves", "passes", "own_goals")
    return {
        name: rows[:, COUNTS.index(name)].astype(int).tolist() for name in names if rows[:, COUNTS.index(name)].any()
    }


def story_state(ball: Any, touching: list[int], score: tuple[int, int]) -> State:
    made = state((2, 2), (2, 2), (2, 2))
    made.ball_pos[1:], made.ball_vel[1:] = ball
    made.car_touched[1:, touching] = 1
    made.blue_score[1:], made.orange_score[1:] = score
    return made


@pytest.mark.parametrize("other_side", [False, True])
@pytest.mark.parametrize("name", STORIES)
def test_by_hand(name: str, other_side: bool) -> None:
    steps, expected = STORIES[name]
    assert told(steps, other_side) == expected


@pytest.mark.parametrize("other_side", [False, True])
def test_a_team_of_three(other_side: bool) -> None:
    """The third car passes to the first, which scores an own goal; the first of orange touched the ball before."""
    before, counts, last = state((3, 3)), np.zeros((6, len(COUNTS))), np.full((1, 2), NOBODY)
    before.ball_pos[:], arena, slot = (0, 0, 93), np.zeros(6, np.int64), np.arange(6)
    for touching, ball, conceded in ((3, WIDE, 0), (2, WIDE, 0), (0, AT_BLUE, 0), (None, IN_BLUE, 1)):
        after = before.copy()
        after.ball_pos[:], after.ball_vel[:], after.orange_score[:] = *ball, conceded
        after.car_touched[0] = np.arange(6) == touching
        one, two = (turned(before), turned(after)) if other_side else (before, after)
        count(one.arenas, two.arenas, one.cars, two.cars, arena, slot, np.zeros(1, bool), last, counts)
        before = after
    rows = np.roll(counts, 3, axis=0) if other_side else counts
    found = {name: np.flatnonzero(rows[:, COUNTS.index(name)]).tolist() for name in ("passes", "own_goals", "goals")}
    assert found == {"passes": [2], "own_goals": [0], "goals": [3, 4, 5]}


def test_who_touched_last_is_kept_in_a_snapshot_and_forgotten_by_the_next_episode() -> None:
    envs = [BatchEnv([(2, 2)] * 2, Reward([]), {"near_ball": 1.0}, Rules(no_touch_limit=None)) for _ in range(2)]
    env = envs[0]
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    while (env._last_touch == NOBODY).any():
        env.step(random_controls(rng, env.num_envs))
    arrays, document = env.snapshot()
    for each in envs:
        each.restore(arrays, document)
        np.testing.assert_array_equal(each._last_touch, arrays["last_touch"])
    older = {name: each for name, each in arrays.items() if name != "last_touch"}
    env.restore(older, document)
    assert (env._last_touch == NOBODY).all()
    envs[1].reset()
    assert (envs[1]._last_touch == NOBODY).all()
