"""All pairings of teams up to three cars, on both engines."""

import itertools
import random

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.env.reset import near_ball
from rlbot.sim import Arenas, CarPlacement, Placement, State, make_arenas, team_slots_for
from tests.conftest import random_controls

PAIRINGS = list(itertools.product((1, 2, 3), repeat=2))


def started(arenas: Arenas, seed: int = 0) -> State:
    """All cars of an arena near its ball."""
    state = arenas.state()
    for n, sizes in enumerate(arenas.team_sizes):
        arenas.place(n, near_ball(random.Random(seed), sizes), state)
    return state


def stepped(arenas: Arenas, state: State, steps: int, seed: int = 0) -> State:
    """The state after some steps; an arena's controls depend on its cars alone."""
    before, after = state, arenas.state()
    for step in range(steps):
        rows = [random_controls(np.random.default_rng([seed, step]), sum(sizes)) for sizes in arenas.team_sizes]
        arenas.step(np.concatenate(rows), before, after)
        before, after = after, before
    return before


def cars(arenas: Arenas, state: State, n: int) -> NDArray[np.float32]:
    """The rows of the cars of an arena, without its empty slots."""
    return state.car_rows[n, arenas.slots[n]]


def test_a_team_has_two_slots_or_three() -> None:
    assert [team_slots_for([sizes]) for sizes in ((1, 1), (0, 2), (2, 2), (3, 0), (1, 3))] == [2, 2, 2, 3, 3]
    assert team_slots_for([(1, 1), (2, 2), (3, 1)]) == 3


def test_the_slots_of_a_mixed_batch(engine: str) -> None:
    arenas = make_arenas([(1, 1), (3, 2)], 8, engine=engine)
    assert arenas.slots == [[0, 3], [0, 1, 2, 3, 4]]
    assert arenas.car_team.tolist() == [0, 1, 0, 0, 0, 1, 1]
    state = arenas.state()
    assert state.car_pos.shape == (2, 6, 3) and state.team_sign().tolist() == [1, 1, 1, -1, -1, -1]
    part = make_arenas([(1, 1)], 8, engine=engine, team_slots=3)  # of a batch in which another process has 3v2
    assert part.slots == [[0, 3]] and len(part.state().memory) < len(state.memory)


def test_every_pairing_plays_alike_alone_and_in_a_mixed_batch(engine: str) -> None:
    together = make_arenas(PAIRINGS, 8, engine=engine)
    after = stepped(together, started(together), 40)
    for n, sizes in enumerate(PAIRINGS):
        alone = make_arenas([sizes], 8, engine=engine)
        mine = stepped(alone, started(alone), 40)
        assert mine.cars["team"][0, alone.slots[0]].tolist() == [0] * sizes[0] + [1] * sizes[1]
        np.testing.assert_array_equal(after.arena_rows[n], mine.arena_rows[0])
        np.testing.assert_array_equal(cars(together, after, n), cars(alone, mine, 0))


@pytest.mark.parametrize("sizes", [(3, 3), (1, 3), (3, 2)])
def test_what_follows_a_snapshot_is_the_same_wherever_it_is_restored(sizes: tuple[int, int], engine: str) -> None:
    arenas, other = (make_arenas([sizes] * 2, 8, engine=engine) for _ in range(2))
    stepped(arenas, started(arenas), 40)
    snapshot, ends = arenas.snapshot(), []
    for each in (arenas, other):
        each.restore(snapshot)
        state = each.state()
        for n in range(2):
            each.read(n, state)
        ends.append(stepped(each, state, 40, seed=1))
    np.testing.assert_array_equal(ends[0].car_pos, ends[1].car_pos)
    np.testing.assert_array_equal(ends[0].arena_rows, ends[1].arena_rows)


@pytest.mark.parametrize("victim", range(6))
def test_every_car_of_a_3v3_comes_back_from_a_demolition(victim: int, engine: str) -> None:
    """An opponent runs over it at full speed; 3 s (45 steps) later it is back."""
    hunter = (victim + 3) % 6
    cars = [CarPlacement((800.0 * slot - 2000, 3000.0, 17.0), 0.0) for slot in range(6)]
    cars[victim] = CarPlacement((0.0, 0.0, 17.0), 0.0)
    cars[hunter] = CarPlacement((-400.0, 0.0, 17.0), 0.0, vel=(2290.0, 0.0, 0.0))
    arenas = make_arenas([(3, 3)], 8, engine=engine)
    state, after = arenas.state(), arenas.state()
    arenas.place(0, Placement(cars, (2000.0, -2000.0, 93.15)), state)
    gone = np.zeros(6)
    for _ in range(60):
        arenas.step(np.zeros((6, 8), np.float32), state, after)
        state, after = after, state
        gone += state.car_is_demoed[0]
    assert 44 <= gone[victim] <= 46 and gone.sum() == gone[victim]
    assert state.car_demos[0].tolist() == np.eye(6)[hunter].tolist()
    assert abs(state.car_pos[0, victim, 1]) > 4000  # behind, at its own goal line
