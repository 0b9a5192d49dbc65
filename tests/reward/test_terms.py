"""Every built-in term on numbers worked out by hand, and the symmetry of all of them."""

import math
from typing import Any

import numpy as np
import pytest

from rlbot.reward import TERMS, terms
from rlbot.sim import State
from tests.conftest import turned
from tests.reward.situations import earned, random_state, state

BLUE, ORANGE = 0, 2  # slots of the cars of a 1v1

SHOT_AT_BLUE = {"ball_pos": (0, -2000, 100), "ball_vel": (0, -3000, 0)}

# (term, fields before, fields after, what blue earns, what orange earns); a field of a car is that of both cars
CASES: list[tuple[str, dict[str, Any], dict[str, Any], float, float]] = [
    ("touch", {}, {"car_touched": 0, "ball_vel": (2300, 0, 0)}, 0, 0),
    ("touch", {}, {"car_touched": 1}, 1, 1),
    ("touch", {"ball_vel": (0, 0, 100)}, {"car_touched": 1, "ball_vel": (1380, -1840, 100)}, 2, 2),  # |dv| 2300
    ("speed_to_ball", {}, {"ball_pos": (300, 400, 0), "car_vel": (690, 920, 0)}, 0.5, 0.5),  # 1150 uu/s
    ("speed_to_ball", {}, {"ball_pos": (300, 400, 0), "car_vel": (920, -690, 500)}, 0, 0),  # sideways and up
    ("speed_to_ball", {}, {"ball_pos": (300, 400, 0), "car_vel": (-690, -920, 0)}, 0, 0),  # away
    ("speed_to_ball", {}, {"car_vel": (2300, 0, 0)}, 0, 0),  # at the ball there is no direction
    ("face_ball", {}, {"ball_pos": (300, 400, 0), "car_forward": (0, 1, 0)}, 0.8, 0.8),
    ("face_ball", {}, {"ball_pos": (300, 400, 0), "car_forward": (-0.6, -0.8, 0)}, -1, -1),
    ("ball_to_goal", {}, {"ball_pos": (0, 0, 321), "ball_vel": (0, 3000, 0)}, 0.5, -0.5),
    ("ball_to_goal", {}, {"ball_pos": (0, 0, 321), "ball_vel": (6000, 0, 0)}, 0, 0),
    # blue's goal is (0, -400, 300) away of 500, orange's attack; the other is (0, 9840, 300) away
    ("ball_to_goal", {}, {"ball_pos": (0, -4720, 21), "ball_vel": (0, 0, 6000)}, 300 / math.hypot(9840, 300), 0.6),
    ("goal", {"blue_score": 2}, {"blue_score": 3}, 1, 0),
    ("goal", {"orange_score": 0}, {"orange_score": 1}, 0, 1),
    ("goal", {"blue_score": 3, "orange_score": 1}, {"blue_score": 3, "orange_score": 1}, 0, 0),
    ("concede", {"blue_score": 2}, {"blue_score": 3}, 0, 1),
    ("concede", {}, {"orange_score": 1}, 1, 0),
    ("air", {}, {"car_on_ground": 0}, 1, 1),
    ("air", {}, {"car_on_ground": 1}, 0, 0),
    ("air", {}, {"car_on_ground": 0, "car_is_demoed": 1}, 0, 0),
    ("boost_keep", {}, {"car_boost": 25}, 0.5, 0.5),
    ("boost_keep", {}, {"car_boost": 100}, 1, 1),
    ("boost_gain", {"car_boost": 25}, {"car_boost": 81}, 0.4, 0.4),
    ("boost_gain", {"car_boost": 81}, {"car_boost": 25}, 0, 0),
    ("boost_gain", {"car_is_demoed": 1}, {"car_boost": 33}, 0, 0),
    ("demo", {"car_demos": 1}, {"car_demos": 2}, 1, 1),
    ("demo", {"car_demos": 2}, {"car_demos": 0}, 0, 0),  # a new episode counts anew
    ("save", SHOT_AT_BLUE, {"car_touched": 1, "ball_pos": (0, -3000, 100), "ball_vel": (0, 500, 0)}, 1, 0),
    ("save", SHOT_AT_BLUE, {"car_touched": 0, "ball_pos": (0, -3000, 100), "ball_vel": (0, 500, 0)}, 0, 0),
    ("save", SHOT_AT_BLUE, {"car_touched": 1, "ball_pos": (0, -3000, 100), "ball_vel": (300, -3000, 0)}, 0, 0),  # still
    ("save", SHOT_AT_BLUE, {"car_touched": 1, "orange_score": 1}, 0, 0),  # it is in
    ("save", {"ball_pos": (0, -2000, 100), "ball_vel": (3000, -3000, 0)}, {"car_touched": 1}, 0, 0),  # it went wide
    ("clear", {}, {"car_touched": 1, "ball_pos": (0, -10, 0), "ball_vel": (0, 2300, 0)}, 0.5, 0),
    ("clear", {}, {"car_touched": 1, "ball_pos": (0, 10, 0), "ball_vel": (0, -2300, 0)}, 0, 0.5),
    ("clear", {}, {"car_touched": 1, "ball_pos": (0, -10, 0), "ball_vel": (0, -2300, 0)}, 0, 0),  # an own goal
    ("clear", {}, {"car_touched": 0, "ball_pos": (0, -10, 0), "ball_vel": (0, 2300, 0)}, 0, 0),
    ("touch_to_goal", {}, {"car_touched": 1, "ball_pos": (0, 0, 321), "ball_vel": (0, 2300, 0)}, 0.5, -0.5),
    ("touch_to_goal", {"ball_vel": (0, 2300, 0)}, {"car_touched": 1, "ball_pos": (0, 0, 321)}, -0.5, 0.5),  # stopped
    ("touch_to_goal", {}, {"car_touched": 0, "ball_pos": (0, 0, 321), "ball_vel": (0, 2300, 0)}, 0, 0),
    ("align", {}, {"ball_pos": (0, 1000, 321), "car_pos": (0, 0, 321)}, 1, -1),
    ("align", {}, {"ball_pos": (1000, 5120, 321), "car_pos": (1000, 0, 321)}, 0, -10240 / math.hypot(10240, 1000)),
    ("own_half", {}, {"ball_pos": (0, 100, 0)}, 1, 0),
    ("own_half", {}, {"ball_pos": (0, -100, 0)}, 0, 1),
    ("own_half", {}, {"ball_pos": (0, 100, 0), "car_is_demoed": 1}, 0, 0),
]  # fmt: skip


def filled(fields: dict[str, Any]) -> State:
    made = state((1, 1))
    for name, value in fields.items():
        getattr(made, name)[:] = value
    return made


@pytest.mark.parametrize(("name", "before", "after", "blue", "orange"), CASES)
def test_hand_computed(name: str, before: dict[str, Any], after: dict[str, Any], blue: float, orange: float) -> None:
    rewards = earned(name, filled(before), filled(after))
    np.testing.assert_allclose(rewards[0, [BLUE, ORANGE]], [blue, orange], atol=1e-6)


def test_every_term_has_a_case_and_a_name_that_is_none_is_refused() -> None:
    assert {name for name, *_ in CASES} == set(TERMS)
    with pytest.raises(ValueError, match=r"^reward\.terms\.tuch: no such name; did you mean touch\?$"):
        terms.indices(["tuch"])


def test_absent_cars_earn_nothing_and_every_arena_is_its_own() -> None:
    before, after = state((1, 2), (2, 1)), state((1, 2), (2, 1))
    after.car_on_ground[1, 3] = after.car_on_ground[0, 2] = 1
    after.blue_score[1] = 1
    np.testing.assert_array_equal(earned("air", before, after), [[1, 0, 0, 1], [1, 1, 1, 0]])
    np.testing.assert_array_equal(earned("goal", before, after), [[0, 0, 0, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize("name", sorted(set(TERMS) - {"ball_to_goal", "goal", "concede"}))
def test_a_demolished_car_earns_nothing_but_what_its_whole_team_earns(name: str) -> None:
    rng = np.random.default_rng(3)
    before, after = random_state(rng, *[(2, 2)] * 30), random_state(rng, *[(2, 2)] * 30)
    after.car_is_demoed[:, ::2], after.car_is_demoed[:, 1::2] = 1, 0
    after.car_touched[:, ::2] = after.car_on_ground[:, 1::2] = 0  # RocketSim takes its car away: it touches nothing
    after.car_demos[:, ::2] = before.car_demos[:, ::2]
    rewards = earned(name, before, after)
    assert not rewards[:, ::2].any() and rewards[:, 1::2].any()


@pytest.mark.parametrize("name", TERMS)
def test_a_turned_field_with_swapped_teams_pays_the_same(name: str) -> None:
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (1, 2), (2, 1), (2, 2)] * 40
    before, after = random_state(rng, *sizes), random_state(rng, *sizes)
    rewards = earned(name, before, after)
    np.testing.assert_array_equal(rewards, earned(name, turned(before), turned(after))[:, [2, 3, 0, 1]])
    assert rewards[:, :2].any() and rewards[:, 2:].any() and np.isfinite(rewards).all()
