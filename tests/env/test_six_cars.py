"""The observation for teams of up to three cars."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.env import BatchEnv
from rlbot.env.observation import LIMIT, OBSERVATION, columns
from rlbot.env.observations import DEFAULT, SIX_CARS, Observation, observe
from rlbot.env.six_cars import MATES, OPPONENTS
from rlbot.reward import Reward
from rlbot.sim import State, make_arenas
from rlbot.values.target import Target
from tests.conftest import random_controls, turned

PAIRINGS = list(itertools.product((1, 2, 3), repeat=2))


def seen(
    state: State, arena: NDArray[np.int64], slot: NDArray[np.int64], controls: NDArray[np.float32]
) -> NDArray[np.float32]:
    out = np.full((len(arena), SIX_CARS.size), np.nan, np.float32)
    observe(SIX_CARS, state, controls, arena, slot, np.arange(len(arena)), out)
    return out


def parts(row: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    ends = np.cumsum([size for _, size in SIX_CARS.columns])
    return {name: row[end - size : end] for (name, size), end in zip(SIX_CARS.columns, ends, strict=True)}


def played(sizes: list[tuple[int, int]], engine: str, steps: int = 20) -> BatchEnv:
    env = BatchEnv(sizes, Reward([]), {"anywhere": 1.0}, engine=engine)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        env.step(random_controls(rng, env.num_envs))
    return env


def test_it_is_the_default_one_with_more_cars() -> None:
    """102 numbers that are not about other cars, and 26 about each of the five."""
    assert SIX_CARS.size == 102 + 5 * 26 == 232
    others = [name for name, _ in SIX_CARS.columns if name.endswith(".present")]
    assert others == ["mate_1.present", "mate_2.present", *(f"opponent_{i}.present" for i in (1, 2, 3))]
    assert SIX_CARS.columns[: len(OBSERVATION) - 3 * 12] == OBSERVATION[: -3 * 12]


def test_mates_and_opponents_come_in_the_order_of_their_places_from_the_own_one_on() -> None:
    """Every car of a 3v3 has a boost of its own, by which it is recognised; blue has 10 to 12, orange 13 to 15."""
    arenas = make_arenas([(3, 3), (2, 3)], 8)
    state = arenas.state()
    state.car_boost[:] = np.arange(10, 16) * state.present
    rows = seen(state, arenas.car_arena, arenas.car_slot, np.zeros((11, 8), np.float32))
    names = [f"mate_{i}.boost" for i in range(1, MATES + 1)] + [f"opponent_{i}.boost" for i in range(1, OPPONENTS + 1)]
    found = [[round(100 * float(parts(row)[name][0])) for name in names] for row in rows]
    assert found == [
        [11, 12, 13, 14, 15], [12, 10, 14, 15, 13], [10, 11, 15, 13, 14],  # 3v3, blue
        [14, 15, 10, 11, 12], [15, 13, 11, 12, 10], [13, 14, 12, 10, 11],  # 3v3, orange
        [11, 0, 13, 14, 15], [10, 0, 14, 15, 13],  # 2v3, blue
        [14, 15, 10, 11, 0], [15, 13, 11, 10, 0], [13, 14, 10, 11, 0],  # 2v3, orange
    ]  # fmt: skip
    present = [[float(parts(row)[name.replace("boost", "present")][0]) for name in names] for row in rows]
    np.testing.assert_array_equal(present, np.array(found) > 0)


@pytest.mark.parametrize("sizes", PAIRINGS)
def test_orange_sees_what_blue_sees_in_the_turned_state(sizes: tuple[int, int], engine: str) -> None:
    env = played([sizes], engine)
    mine = seen(env.state, env.car_arena, env.car_slot, env.controls)
    assert np.isfinite(mine).all() and np.abs(mine).max() <= LIMIT
    half = env.state.team_slots
    other = (env.car_slot + half) % (2 * half)
    np.testing.assert_array_equal(mine, seen(turned(env.state), env.car_arena, other, env.controls))


@pytest.mark.parametrize("sizes", [each for each in PAIRINGS if max(each) < 3])
def test_what_a_car_sees_does_not_depend_on_the_slots_of_the_batch(sizes: tuple[int, int], engine: str) -> None:
    """The same arena alone, with two slots a team, and beside one of 3v3, with three. The physics has the same bits."""
    env, beside = played([sizes], engine), BatchEnv([sizes, (3, 3)], Reward([]), {"anywhere": 1.0}, engine=engine)
    beside.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        controls = random_controls(rng, env.num_envs)
        beside.step(np.concatenate([controls, np.zeros((6, 8), np.float32)]))
    assert (env.state.team_slots, beside.state.team_slots) == (2, 3)
    few, rows = np.arange(env.num_envs), beside.observed(SIX_CARS, np.arange(env.num_envs))
    np.testing.assert_array_equal(env.observed(SIX_CARS, few), rows)
    # Of the default one, only the order of two opponents may differ where a place is empty.
    shared = slice(0, columns("opponent_1.present").start)
    np.testing.assert_array_equal(env.observed(DEFAULT, few)[:, shared], rows[:, shared])


def test_a_batch_sees_all_its_cars_unless_it_is_told_otherwise() -> None:
    assert BatchEnv([(2, 2)], Reward([]), {"kickoff": 1.0}).observation == DEFAULT
    assert BatchEnv([(1, 1), (1, 3)], Reward([]), {"kickoff": 1.0}).observation == SIX_CARS
    for name in ("default", "relative"):
        with pytest.raises(ValueError, match=f"observation={name}: is for teams of at most 2 cars, six_cars for"):
            BatchEnv([(3, 3)], Reward([]), {"kickoff": 1.0}, observation=Observation(name))
    small = BatchEnv([(3, 3)], Reward([]), {"kickoff": 1.0}, observation=Observation("small"))
    assert small.reset(seed=0)[0].shape == (6, 31)


def test_columns_of_ones_own_that_depend_on_the_slots_are_refused(tmp_path: object) -> None:
    file = tmp_path / "mine.py"  # type: ignore[operator]
    file.write_text("def see(state, cars):\n    return {'boost': state.car_boost[cars.arena]}\n")
    own = Observation("own", Target(f"{file}:see", {}))
    BatchEnv([(2, 2)], Reward([]), {"kickoff": 1.0}, observation=own)
    with pytest.raises(ValueError, match=r"returns boost \(4\) for a state of 4 car slots, boost \(6\) for one of 6"):
        BatchEnv([(3, 3)], Reward([]), {"kickoff": 1.0}, observation=own)
