"""The 180 numbers: their names, hand-computed values, and the symmetry of the field."""

import math
import random

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rlbot.env import BatchEnv
from rlbot.env.observation import LIMIT, OBSERVATION, OBSERVATION_SIZE, columns
from rlbot.env.observations import DEFAULT, observe
from rlbot.env.reset import RESETS
from rlbot.reward import Reward
from rlbot.sim import PAD_COOLDOWN, Arenas, CarPlacement, Placement, State, load_meshes, make_arenas
from tests.conftest import random_controls, turned

SLOTS = 4
OBSERVATION_SPACE = gymnasium.spaces.Box(-LIMIT, LIMIT, (OBSERVATION_SIZE,), np.float32)


def seen(arenas: Arenas, state: State, controls: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    out = np.full((arenas.num_cars, OBSERVATION_SIZE), np.nan, np.float32)
    controls = np.zeros((arenas.num_cars, 8), np.float32) if controls is None else controls
    observe(DEFAULT, state, controls, arenas.car_arena, arenas.car_slot, np.arange(arenas.num_cars), out)
    return out


def placed(team_sizes: tuple[int, int], placement: Placement) -> tuple[Arenas, State]:
    arenas = make_arenas([team_sizes], 8)
    state = arenas.state()
    arenas.place(0, placement, state)
    return arenas, state


def test_the_table_names_180_numbers_once() -> None:
    assert sum(size for _, size in OBSERVATION) == OBSERVATION_SIZE == 180
    assert len({name for name, _ in OBSERVATION}) == len(OBSERVATION)
    with pytest.raises(KeyError):
        columns("ball.color")


def test_hand_computed_values() -> None:
    """Blue faces +y (yaw 90 degrees), so its right is -x in the game's left-handed frame; the ball is 1000 uu ahead,
    230 uu to the left, 400 uu up."""
    blue = CarPlacement((0.0, -1000.0, 17.0), math.pi / 2, vel=(0.0, 1150.0, 0.0), boost=50.0)
    orange = CarPlacement((500.0, 2000.0, 17.0), -math.pi / 2, boost=0.0)
    arenas, state = placed((1, 1), Placement([blue, orange], (230.0, 0.0, 417.0), (0.0, 460.0, 230.0)))
    state.pad_timer[0, 3] = 5.0
    controls = np.array([[1, 0, 0.5, 0, 0, 1, 0, 0], [0] * 8], np.float32)
    mine, other = seen(arenas, state, controls)

    def is_(row: NDArray[np.float32], name: str, *values: float) -> None:
        np.testing.assert_allclose(row[columns(name)], values, atol=1e-5, err_msg=name)

    is_(mine, "ball.pos", 0.1, 0.0, 417 / 2300)
    is_(mine, "ball.vel", 0.0, 0.2, 0.1)
    is_(mine, "ball.local_pos", 1000 / 2300, -0.1, 400 / 2300)
    is_(mine, "ball.local_vel", (460 - 1150) / 2300, 0.0, 0.1)
    is_(mine, "ball.distance", math.sqrt(1000**2 + 230**2 + 400**2) / 2300)
    # half a second of free flight: y + 230, z + 115 - 650 / 8
    is_(mine, "ball.local_pos_in_half_a_second", 1230 / 2300, -0.1, (400 + 115 - 81.25) / 2300)
    is_(mine, "ball.local_pos_in_a_second", 1460 / 2300, -0.1, (400 + 230 - 325) / 2300)
    is_(mine, "car.local_vel", 0.5, 0.0, 0.0)
    is_(mine, "car.boost", 0.5)
    is_(mine, "car.on_ground", 1.0)
    is_(mine, "car.has_flip", 1.0)
    is_(mine, "previous_action", *controls[0])
    is_(mine, "goal.opponent_local_pos", 6120 / 2300, 0.0, 304 / 2300)
    is_(mine, "goal.own_local_pos", -4120 / 2300, 0.0, 304 / 2300)
    is_(mine, "pads.timer", *([0] * 3 + [0.5] + [0] * 30))
    is_(mine, "mate.present", 0.0)
    is_(mine, "opponent_1.present", 1.0)
    is_(mine, "opponent_1.local_pos", 3000 / 2300, -500 / 2300, 0.0)
    is_(mine, "opponent_2.present", 0.0)
    assert not mine[columns("mate.present").start : columns("mate.has_flip").stop].any()
    # orange sees the field turned half round
    is_(other, "ball.pos", -0.1, 0.0, 417 / 2300)
    is_(other, "car.pos", -500 / 2300, -2000 / 2300, 17 / 2300)
    is_(other, "car.forward", 0.0, 1.0, 0.0)
    is_(other, "goal.own_local_pos", -3120 / 2300, -500 / 2300, 304 / 2300)
    is_(other, "pads.timer", *([0] * 30 + [0.5] + [0] * 3))


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(sorted(RESETS)),
    seed=st.integers(0, 2**32 - 1),
    teams=st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]),
    steps=st.integers(0, 30),
)
def test_a_turned_field_with_swapped_teams_looks_the_same(
    kind: str, seed: int, teams: tuple[int, int], steps: int
) -> None:
    rng = np.random.default_rng(seed)
    arenas = make_arenas([teams], 8)
    state, after = arenas.state(), arenas.state()
    arenas.place(0, RESETS[kind](random.Random(seed), teams), state)
    controls = random_controls(rng, arenas.num_cars)
    for _ in range(steps):
        arenas.step(controls, state, after)
        state, after = after, state
    mirror = make_arenas([teams[::-1]], 8)
    blue = teams[0]
    swapped = np.concatenate([controls[blue:], controls[:blue]])
    mine = seen(arenas, state, controls)
    theirs = seen(mirror, turned(state), swapped)
    np.testing.assert_array_equal(mine, np.concatenate([theirs[teams[1] :], theirs[: teams[1]]]))
    assert np.isfinite(mine).all() and np.abs(mine).max() <= LIMIT


def extreme(rng: np.random.Generator, arenas: Arenas, edge: float) -> State:
    """Anything that the game allows, a share `edge` of all numbers at the end of its range, most of it never seen in
    play: cars in a goal at full speed, demolished ones that have boost, every pad taken."""
    state = arenas.state()

    def numbers(low: float, high: float, *shape: int) -> NDArray[np.float32]:
        anything, ends = rng.uniform(low, high, shape), rng.choice([low, high], shape)
        return np.where(rng.random(shape) < edge, ends, anything).astype(np.float32)

    def vectors(x: float, y: float, z: float, *shape: int) -> NDArray[np.float32]:
        return np.stack([numbers(-x, x, *shape), numbers(-y, y, *shape), numbers(-z, z, *shape)], axis=-1)

    cars = state.present.shape
    state.ball_pos[:], state.ball_ang_vel[:] = vectors(4096, 6000, 2044, len(arenas)), vectors(6, 6, 6, len(arenas))
    state.ball_vel[:] = vectors(6000, 6000, 6000, len(arenas))
    state.cars["pos"], state.cars["vel"] = vectors(4096, 6000, 2044, *cars), vectors(2300, 2300, 2300, *cars)
    state.cars["ang_vel"] = vectors(5.5, 5.5, 5.5, *cars)
    axes = np.linalg.qr(rng.normal(size=(*cars, 3, 3)))[0]
    state.cars["forward"], state.cars["right"], state.cars["up"] = (axes[..., i] for i in range(3))
    state.cars["boost"], state.cars["handbrake"] = numbers(0, 100, *cars), numbers(0, 1, *cars)
    state.cars["air_time_since_jump"], state.cars["demo_timer"] = numbers(0, 60, *cars), numbers(0, 3, *cars)
    for name in ("is_demoed", "on_ground", "has_flip", "has_jumped", "has_flipped", "is_supersonic"):
        state.cars[name] = rng.integers(0, 2, cars)
    state.pad_timer[:] = numbers(0, 1, len(arenas), 34) * PAD_COOLDOWN
    state.cars[state.present == 0] = 0
    return state


@pytest.fixture(scope="module")
def mixed() -> Arenas:
    return make_arenas([(1, 1), (1, 2), (2, 1), (2, 2)], 8)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), edge=st.sampled_from([0.0, 0.3, 1.0]))
def test_any_state_is_seen_within_the_bounds_and_the_same_by_both_teams(seed: int, edge: float, mixed: Arenas) -> None:
    rng = np.random.default_rng(seed)
    state, controls = extreme(rng, mixed, edge), random_controls(rng, mixed.num_cars)
    mine = seen(mixed, state, controls)
    assert all(OBSERVATION_SPACE.contains(row) for row in mine)
    table = np.zeros((len(mixed), SLOTS, 8), np.float32)
    table[mixed.car_arena, mixed.car_slot] = controls
    other = turned(state)
    arena, slot = (index.astype(np.int64) for index in np.nonzero(other.present))
    theirs = np.zeros_like(mine)
    observe(DEFAULT, other, table[:, [2, 3, 0, 1]][arena, slot], arena, slot, np.arange(len(arena)), theirs)
    swapped = np.zeros((len(mixed), SLOTS, OBSERVATION_SIZE), np.float32)
    swapped[arena, slot ^ 2] = theirs
    np.testing.assert_array_equal(mine, swapped[mixed.car_arena, mixed.car_slot])


def test_every_number_varies_in_play() -> None:
    """None of the 180 is forgotten: over some episodes of 2v2 each takes more than one value."""
    rng = np.random.default_rng(0)
    load_meshes(engine="rocketsim2")  # in which a car can be demolished by a call
    mix = {"near_ball": 1, "airborne": 1, "anywhere": 1}
    env = BatchEnv([(2, 2)] * 8, Reward([]), mix, engine="rocketsim2")
    env.reset(seed=0)
    low = np.full(OBSERVATION_SIZE, np.inf)
    high = -low
    for n in range(8):
        env.arenas._cars[n][n % SLOTS].demolish()
    for _ in range(120):
        obs, *_ = env.step(random_controls(rng, 32))
        low, high = np.minimum(low, obs.min(0)), np.maximum(high, obs.max(0))
    constant = [name for name, _ in OBSERVATION if not (low < high)[columns(name)].any()]
    assert set(constant) <= {"mate.present", "opponent_1.present", "opponent_2.present"}, constant
    pads = (low < high)[columns("pads.timer")]
    assert pads.mean() > 0.3  # those that were driven over
