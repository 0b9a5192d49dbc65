"""A reset of the user's own: where it puts things, what a wrong one is told, and that it must be repeatable."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv
from rlbot.env.own_reset import OwnReset
from rlbot.env.purity import check_resets
from rlbot.env.reset import draw
from rlbot.reward import Reward
from rlbot.sim import CarPlacement, Placement

PADS = (10.0,) * 34
CAR = CarPlacement((1000.0, 0.0, 17.0), 0.5)


def row(generator: np.random.Generator, teams: tuple[int, int], x: float = 0.0) -> Placement:
    """Cars in a row, blue first, and a ball above at a place that is drawn; all given as NumPy numbers."""
    cars = [CarPlacement(np.array([500.0 * i, -1000.0, 17.0]), np.float32(0.5), boost=30) for i in range(sum(teams))]  # type: ignore[arg-type]
    return Placement(cars, np.array([x, generator.uniform(0, 1000), 500.0]))  # type: ignore[arg-type]


def own(function: Callable[..., Any], share: float = 1.0) -> OwnReset:
    return OwnReset(share, function, "env.reset.mine (mine.py:mine)")


def test_it_gets_the_teams_and_the_arenas_generator() -> None:
    asked = []

    def noted(generator: np.random.Generator, teams: tuple[int, int]) -> Placement:
        asked.append(teams)
        return row(generator, teams)

    env = BatchEnv([(1, 2), (2, 2)], Reward([]), {"mine": own(noted)})
    env.reset(seed=3)
    assert asked == [(1, 2), (2, 2)]
    np.testing.assert_allclose(env.state.car_pos[0, [0, 2, 3], 0], [0, 500, 1000], atol=1e-3)
    first = env.state.ball_pos.copy()
    env.reset(seed=3)
    np.testing.assert_array_equal(env.state.ball_pos, first)
    assert first[0, 1] != first[1, 1]
    for share, height in ((0.0, 93.15), (1e9, 500.0)):
        mix = {"mine": own(row, share), "kickoff": 1.0}
        assert draw(np.random.default_rng(0), mix, (1, 1)).ball_pos[2] == height


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "returns NoneType; it must be a rlbot.sim.Placement"),
        (Placement([CAR]), "places 1 cars; the arena has 2"),
        (Placement([CAR, 3]), r"cars\[1\] is int; it must be a rlbot.sim.CarPlacement"),  # type: ignore[list-item]
        (Placement([CAR, CAR], (0, 0, float("nan"))), r"ball_pos=\[0.0, 0.0, nan\]: must be finite numbers"),
        (Placement([CAR, CAR], (0, 0)), r"ball_pos is of shape \(2,\); it must be \(3,\)"),  # type: ignore[arg-type]
        (Placement([CAR, CAR], "far"), "ball_pos='far': must be numbers"),  # type: ignore[arg-type]
        (Placement([CAR, CAR], (0, 6100, 93)), r"ball_pos=\(0, 6100, 93\) is outside the field"),
        (Placement([CAR, dataclasses.replace(CAR, pos=(4000, 5000, 17))]), r"cars\[1\].pos=\(4000, 5000, 17\) is outs"),
        (Placement([CAR, dataclasses.replace(CAR, boost=101)]), r"cars\[1\].boost=101: must be 0 to 100"),
        (Placement([CAR, dataclasses.replace(CAR, yaw=float("inf"))]), r"cars\[1\].yaw=\[inf\]: must be finite"),
        (Placement([CAR, CAR], pads=(1.0,)), r"pads is of shape \(1,\); it must be \(34,\)"),
        (Placement([CAR, CAR], pads=PADS), r"pads\[0\]=10: must be 0 to 4, the seconds until it is back"),
    ],
)
def test_a_wrong_placement_is_named_with_its_reset_and_arena(given: Any, message: str) -> None:
    env = BatchEnv([(1, 1)], Reward([]), {"mine": own(lambda generator, teams: given)}, first_arena=7)
    with pytest.raises(ValueError, match=rf"^env\.reset\.mine \(mine\.py:mine\), arena 7,? {message}") as caught:
        env.reset(seed=0)
    assert len(str(caught.value).splitlines()) == 1


def test_an_exception_is_named_too() -> None:
    with pytest.raises(ValueError, match=r"^env\.reset\.mine \(mine\.py:mine\), arena 5, fails: ZeroDivisionError"):
        own(lambda generator, teams: 1 / 0).draw(np.random.default_rng(), (1, 1), 5)


def test_one_that_does_not_draw_from_its_generator_is_refused() -> None:
    unseeded = np.random.default_rng()
    check_resets(BatchEnv([(1, 1), (2, 2)], Reward([]), {"mine": own(row, 0.0), "kickoff": 1.0}))
    with pytest.raises(ValueError, match=r"mine\.py:mine\): gives another start when it is called again"):
        check_resets(BatchEnv([(1, 1)], Reward([]), {"mine": own(lambda _, teams: row(unseeded, teams))}))
