"""Other observations than the default one: two that are built in, and the user's own."""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.env import BatchEnv
from rlbot.env.observations import OBSERVATIONS, Observation, observe
from rlbot.env.purity import check_purity
from rlbot.env.seeing import Cars, local
from rlbot.reward import Reward
from rlbot.sim import CarPlacement, Placement, State, make_arenas
from rlbot.values.target import Target
from tests.conftest import random_controls, turned

CODE = """
import numpy as np
from rlbot.env.seeing import local

def see(state, cars, scale=1000.0):
    way = state.ball_pos[cars.arena] - cars.of(state.car_pos)
    return {"ball": local(state, cars, way) / scale, "boost": cars.of(state.car_boost), "last": cars.controls}

def one(state, cars):
    return cars.of(state.car_pos)

def grows(state, cars):
    return {"x": np.zeros((len(cars.arena), 1 + (state.ball_pos[0, 2] > 0)))}

def few(state, cars):
    return {"x": np.zeros(3), "ball": state.ball_pos}

def text(state, cars):
    return {"x": ["a"] * len(cars.arena)}

def raises(state, cars):
    return {"x": 1 / 0}

def writes(state, cars):
    state.ball_pos[:] = 0

def rest(state, cars):
    x = state.ball_pos[cars.arena, 0]
    return {"x": (x - x.mean() + cars.of(state.car_pos)[:, 0]) / 9000}

calls = []

def counts(state, cars):
    calls.append(1)
    return {"x": np.full(len(cars.arena), len(calls) % 7)}

def nan(state, cars):
    return {"fine": cars.of(state.car_boost), "odd": np.where(cars.slot > 0, np.nan, 1)}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    return tmp_path / "mine.py"


def own(file: Path, function: str, **arguments: Any) -> Observation:
    return Observation("own", Target(f"{file}:{function}", arguments))


def batch(observation: Observation) -> BatchEnv:
    env = BatchEnv([(1, 1), (2, 2)], Reward([]), {"anywhere": 1.0}, observation=observation)
    env.reset(seed=0)
    return env


def columns_of(observation: Observation, row: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """One row, split into its parts by their names."""
    ends = np.cumsum([size for _, size in observation.columns])
    return {name: row[end - size : end] for (name, size), end in zip(observation.columns, ends, strict=True)}


def seen(observation: Observation, state: State, cars: Cars) -> NDArray[np.float32]:
    out = np.full((len(cars.arena), observation.size), np.nan, np.float32)
    observe(observation, state, cars.controls, cars.arena, cars.slot, np.arange(len(out)), out)
    return out


@pytest.mark.parametrize(("name", "size"), [("default", 180), ("relative", 110), ("small", 31)])
def test_a_built_in_one_fills_its_columns_within_the_bounds(name: str, size: int) -> None:
    observation = Observation(name)
    env = batch(observation)
    assert observation.size == size == sum(n for _, n in observation.columns)
    assert len({part for part, _ in observation.columns}) == len(observation.columns)
    rows = [env.step(random_controls(np.random.default_rng(i), env.num_envs))[0] for i in range(60)]
    assert env.single_observation_space.shape == (size,) and env.final_obs.shape[1] == size
    assert all(env.observation_space.contains(row) for row in rows)
    constant = {"present", "demoed", "is_demoed", "demo_timer", "is_supersonic", "timer"}
    spread = columns_of(observation, np.ptp(np.concatenate(rows), axis=0))
    assert [part for part, each in spread.items() if not each.any() and part.split(".")[-1] not in constant] == []


def test_hand_computed_values() -> None:
    """Blue faces +y, so its right is -x; the ball is 1000 uu ahead, 230 uu to the left and 400 uu above it."""
    arenas = make_arenas([(1, 1)], 8)
    state = arenas.state()
    blue = CarPlacement((0.0, -1000.0, 17.0), math.pi / 2, vel=(0.0, 1150.0, 0.0), boost=50.0)
    orange = CarPlacement((500.0, 2000.0, 17.0), -math.pi / 2, boost=0.0)
    arenas.place(0, Placement([blue, orange], (230.0, 0.0, 417.0), (0.0, 460.0, 230.0)), state)
    state.pad_timer[0, 13] = 2.0
    controls = np.array([[1, 0, 0.5, 0, 0, 1, 0, 0], [0] * 8], np.float32)
    cars = Cars(arenas.car_arena, arenas.car_slot, controls, np.array([1, -1], np.float32))
    small, relative = (Observation(name) for name in ("small", "relative"))
    row = columns_of(relative, seen(relative, state, cars)[0])

    def is_(name: str, *values: float) -> None:
        np.testing.assert_allclose(row[name], values, atol=1e-5, err_msg=name)

    is_("ball.local_pos", 1000 / 2300, -0.1, 400 / 2300)
    is_("ball.local_vel", (460 - 1150) / 2300, 0, 0.1)
    is_("car.local_vel", 0.5, 0, 0)
    is_("car.local_world_up", 0, 0, 1)
    is_("car.boost", 0.5)
    is_("goal.opponent_local_pos", 6120 / 2300, 0, 304 / 2300)
    is_("goal.own_local_pos", -4120 / 2300, 0, 304 / 2300)
    is_("previous_action", *controls[0])
    is_("pad_1.local_pos", -24 / 2300, 0, 56 / 2300)  # the nearest is number 13, at (0, -1024), 73 uu high
    is_("pad_1.timer", 0.5)
    is_("mate.present", 0)
    is_("opponent_1.present", 1)
    is_("opponent_1.local_pos", 3000 / 2300, -500 / 2300, 0)
    is_("opponent_1.local_vel", -0.5, 0, 0)
    is_("opponent_1.local_forward", -1, 0, 0)
    few = columns_of(small, seen(small, state, cars)[0])
    for name, values in few.items():
        np.testing.assert_array_equal(values, row[name], err_msg=name)
    np.testing.assert_allclose(
        local(state, cars, np.array([[0, 1, 0], [0, 0, 2]], np.float32)), [[1, 0, 0], [0, 0, 2]], atol=1e-6
    )


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_orange_sees_what_blue_sees_in_the_turned_field(name: str) -> None:
    env = batch(Observation("default"))
    observation, controls = Observation(name), random_controls(np.random.default_rng(0), env.num_envs)
    for _ in range(30):
        env.step(controls)
    sign = np.ones(env.num_envs, np.float32)
    mine = seen(observation, env.state, Cars(env.car_arena, env.car_slot, controls, sign))
    theirs = seen(observation, turned(env.state), Cars(env.car_arena, env.car_slot ^ 2, controls, sign))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_one_of_the_users_own_is_made_of_named_parts(file: Path) -> None:
    observation = own(file, "see", scale=500.0)
    assert observation.columns == (("ball", 3), ("boost", 1), ("last", 8)) and observation.size == 12
    env = batch(observation)
    controls = random_controls(np.random.default_rng(0), env.num_envs)
    obs, _, _, _, _ = env.step(controls)
    np.testing.assert_allclose(obs[:, 3], np.minimum(env.state.car_boost[env.car_arena, env.car_slot], 10))
    np.testing.assert_array_equal(obs[:, 4:], controls)
    distance = np.linalg.norm(env.state.ball_pos[1] - env.state.car_pos[1, 2]) / 500
    assert np.linalg.norm(obs[4, :3]) == pytest.approx(distance, rel=1e-4)
    some = env.observed(observation, np.array([3, 1]))
    np.testing.assert_array_equal(some, obs[[3, 1]])
    again = pickle.loads(pickle.dumps(observation))
    assert again == observation and again.columns == observation.columns


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("one", "returns ndarray; it must be a dict of arrays by their names"),
        ("few", r"returns x as float64 of shape \(3,\); it must be numbers of shape \(cars,\) = \(1,\), or"),
        ("text", "returns x as <U1 of shape"),
        ("raises", r"fails: ZeroDivisionError: division by zero \(mine\.py, line 22\)"),
        ("writes", "fails: ValueError: assignment destination is read-only"),
        ("grows", r"returns x \(2\); before it was x \(1\)"),
    ],
)
def test_a_wrong_one_is_named(file: Path, function: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^env\.observation \(.*mine\.py:{function}\) {message}") as caught:
        batch(own(file, function))
    assert len(str(caught.value).splitlines()) == 1


def test_one_that_is_not_finite_is_named_and_its_step_undone(file: Path) -> None:
    env = BatchEnv([(1, 1), (1, 0)], Reward([]), {"kickoff": 1.0}, observation=own(file, "nan"))
    env.reset(seed=0)
    env.step(np.zeros((3, 8), np.float32))
    assert list(env.faults) == ["the observation (odd)"] and env.ended.tolist() == [4, 0]


def test_one_that_keeps_state_or_looks_at_other_rows_is_refused(file: Path) -> None:
    check_purity(batch(own(file, "see")))
    for function, told in (("counts", "when it is called again"), ("rest", "beside it")):
        with pytest.raises(ValueError, match=rf"^env\.observation \(.*mine\.py:{function}\): .*{told}"):
            check_purity(batch(own(file, function)))
