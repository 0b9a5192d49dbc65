"""Nexto and Necto: what they are fed, to the number, and what they do.

golden.json holds scenes of real play with the inputs that the released bots make of them and the choices of their
networks there, computed with their own programs. It holds numbers alone.
"""

import numpy as np
import pytest

from rlbot.bots import Necto, Nexto, StateBot
from rlbot.bots.entities import BALL, seen_slots
from rlbot.bots.nexto import choose, necto_controls, necto_inputs, nexto_inputs
from rlbot.env import ACTION_TABLE
from rlbot.rating.matches import Conditions, Pairing, play
from rlbot.values.target import Target
from tests.bots.scenes import GOLDEN, cars_of, needs_weights, scene, some_state, weights
from tests.conftest import turned

INPUTS = {"nexto": nexto_inputs, "necto": necto_inputs}


@pytest.mark.parametrize("bot", INPUTS)
@pytest.mark.parametrize("golden", GOLDEN, ids=["1v1", "2v1", "2v2"])
def test_inputs_are_those_of_the_released_bot(golden: dict, bot: str) -> None:
    state, cars = scene(golden)
    queries, rows, mask = INPUTS[bot](state, cars)
    blue = cars.slot < 2
    for k, expected in enumerate(golden[bot]):
        np.testing.assert_allclose(queries[k], expected["query"], atol=2e-5)
        np.testing.assert_allclose(rows[k, BALL], expected["ball"], atol=2e-5)
        at = seen_slots(cars)[k].tolist().index(expected["opponent_slot"])
        np.testing.assert_allclose(rows[k, at], expected["opponent"], atol=2e-5)
        for pad, numbers in expected["pads"].items():
            row = BALL + 1 + (int(pad) if blue[k] else 33 - int(pad))
            np.testing.assert_allclose(rows[k, row, [5, 6, 7, 20]], numbers[:4], atol=2e-5)
            rounding = 2e-5 if bot == "nexto" else 0.007  # the clocks of Necto's bot take 61 steps, not 60, for a round
            assert rows[k, row, 21] == pytest.approx(numbers[4], abs=rounding)
    here = np.isin(seen_slots(cars), cars.slot)
    np.testing.assert_array_equal(mask[:, :BALL], np.where(here, 0, -np.inf))
    assert not mask[:, BALL:].any()


@needs_weights
@pytest.mark.parametrize("bot", INPUTS)
def test_networks_choose_what_they_choose_in_the_released_bot(bot: str) -> None:
    """Where the second best choice is not nearly as good."""
    player = {"nexto": Nexto, "necto": Necto}[bot](weights(bot))
    clear = 0
    for golden in GOLDEN:
        state, cars = scene(golden)
        made = player.act(state, cars)
        for controls, expected in zip(made, golden[bot], strict=True):
            choice = np.array([expected["choice"]])
            wanted = ACTION_TABLE[choice[0]] if bot == "nexto" else necto_controls(choice)
            if expected["margin"] > 0.05:
                np.testing.assert_array_equal(controls, wanted[0])
                clear += 1
    assert clear >= 5


@pytest.mark.parametrize("bot", INPUTS)
def test_orange_sees_the_turned_situation_as_blue_sees_it(bot: str) -> None:
    """To the bit."""
    state = some_state(3, seed=1)
    arena, slot = [0, 0, 1, 2, 2], [0, 3, 1, 2, 0]
    controls = np.random.default_rng(2).uniform(-1, 1, (5, 8))
    as_is = INPUTS[bot](state, cars_of(arena, slot, 88, controls))
    other = INPUTS[bot](turned(state), cars_of(arena, [(each + 2) % 4 for each in slot], 88, controls))
    for one, two in zip(as_is, other, strict=True):
        np.testing.assert_array_equal(one, two)


def test_positions_are_relative_and_turned_so_that_the_car_drives_along_y() -> None:
    """By hand: a blue car at (1000, 0) that drives along x, with the ball 500 uu ahead and 200 uu to its left."""
    state = some_state(1, seed=3)
    state.car_pos[0, 0], state.car_forward[0, 0], state.car_vel[0, 0] = (1000, 0, 17), (1, 0, 0), (2300, 0, 0)
    state.car_boost[0, 0], state.ball_pos[0] = 33, (1500, 200, 117)
    queries, rows, _ = nexto_inputs(state, cars_of([0], [0]))
    np.testing.assert_allclose(rows[0, BALL, 5:8], [-200 / 2300, 500 / 2300, 100 / 2300], atol=1e-6)
    np.testing.assert_allclose(rows[0, 0, 8:11], [0, 1, 0], atol=1e-6)  # the velocity is turned, but not relative
    np.testing.assert_allclose(queries[0, 5:11], [1000 / 2300, 0, 17 / 2300, 1, 0, 0], atol=1e-6)
    assert queries[0, 20] == np.float32(0.33), "boost is from 0 to 1"
    _, rows, _ = necto_inputs(state, cars_of([0], [0]))
    np.testing.assert_allclose(rows[0, BALL, 5:8], [500 / 2300, 200 / 2300, 100 / 2300], atol=1e-6)
    assert not rows[0, 0, 5:11].any(), "positions and velocities are relative to its own"


def test_a_pad_that_is_there_has_a_flag_for_nexto_and_a_clock_for_necto() -> None:
    state = some_state(1, seed=4)
    state.pad_active[0] = 1
    state.pad_active[0, [3, 7]] = 0  # a big one and a small one
    car = cars_of([0], [0], ticks=600)
    flags = nexto_inputs(state, car)[1][0, BALL + 1 :, 21]
    assert flags[[3, 7]].tolist() == [0, 0] and flags.sum() == 32
    clocks = necto_inputs(state, car)[1][0, BALL + 1 :, 21]
    assert clocks[[3, 7]].tolist() == [0, 0]
    np.testing.assert_allclose(clocks[[4, 8]], [1 - 600 / 1200, 0.4 - 120 / 1200], atol=1e-6)


def test_beta_goes_from_the_worst_action_over_any_to_the_best() -> None:
    logits = np.log(np.array([[1, 2, 5]], np.float32)).repeat(8, axis=0)
    uniform = (np.arange(8, dtype=np.float32) + 0.5) / 8
    assert choose(logits, 1, uniform).tolist() == [2] * 8 and choose(logits, -1, uniform).tolist() == [0] * 8
    assert choose(logits, 0.5, uniform).tolist() == [0, 1, 1, 2, 2, 2, 2, 2], "by the policy: 1, 2 and 5 of 8"
    assert choose(logits, 0, uniform).tolist() == [0, 0, 0, 1, 1, 2, 2, 2], "each of three alike"
    assert choose(logits, 0.8, uniform).tolist() == [1, 2, 2, 2, 2, 2, 2, 2], "squares: 1, 4 and 25 of 30"


def test_controls_of_necto() -> None:
    made = necto_controls(np.array([[2, 0, 1, 0, 0], [0, 2, 0, 1, 1]]))
    assert made.tolist() == [[1, -1, 1, -1, 0, 1, 0, 0], [-1, 1, -1, 0, 1, 0, 1, 1]]


@pytest.mark.parametrize(
    ("tick_skip", "decides_at"), [(8, range(0, 49, 8)), (4, range(0, 49, 8)), (6, [0, 12, 18, 24, 36, 42, 48])]
)
def test_they_decide_every_eight_ticks(tick_skip: int, decides_at: list[int]) -> None:
    ticks = range(0, 49, tick_skip)
    assert [t for t in ticks if cars_of([0], [0], t, tick_skip=tick_skip).due(8)[0]] == list(decides_at)
    assert all(cars_of([0], [0], t, tick_skip=16).due(8)[0] for t in range(0, 49, 16)), (
        "at every state if they are rarer"
    )


@needs_weights
@pytest.mark.parametrize("kind", [Nexto, Necto])
def test_what_a_car_does_depends_on_nothing_else_in_the_batch(kind: type) -> None:
    player = kind(weights(kind.__name__.lower()), beta=0.5)
    state = some_state(7, seed=5)
    cars = cars_of([0, 1, 1, 2, 3, 4, 4, 5, 6, 6, 6], [0, 1, 3, 2, 0, 1, 2, 3, 0, 1, 2], seed=9)
    together = player.act(state, cars)
    alone = np.concatenate([player.act(state, cars[[k]]) for k in range(len(cars))])
    np.testing.assert_array_equal(together, alone)
    assert len(np.unique(together, axis=0)) > 3
    between = cars_of([0], [0], ticks=4, controls=[[0.5] * 8], tick_skip=4)
    assert (player.act(state, between) == 0.5).all(), "between two decisions a car goes on"


@needs_weights
def test_nexto_beats_random_play_on_either_engine(engine: str) -> None:
    """It scores about every seven seconds, from either side."""
    nexto = StateBot("nexto", Target("rlbot.bots.Nexto", {"weights": weights("nexto")}), "opponent")
    (results,) = play([nexto, "random"], [Pairing(0, 1, 4)], Conditions(1, 1, 15.0, engine=engine))
    scored, conceded = results.goals.T
    assert scored[:2].sum() > 0 and scored[2:].sum() > 0 and scored.sum() >= 3 and not conceded.any()
