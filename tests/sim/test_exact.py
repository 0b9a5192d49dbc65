"""The future of an arena is a function of the placement or snapshot and the controls, whatever happened before."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.sim import Arenas, CarPlacement, Placement, State, load_meshes
from rlbot.sim.exact import make_arena, tick_order

NEAR, STEPS = 250.0, 50


def crowd(num_cars: int, seed: int) -> Placement:
    """Cars close together, some of them above the others, in every third case at a speed that demolishes."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-2500, 2500), rng.uniform(-3500, 3500)
    speed = 2290.0 if seed % 3 == 0 else rng.uniform(0, 600)
    cars = []
    for spot in rng.permutation(8)[:num_cars].tolist():
        dx, dy, high = (spot & 1) * NEAR - NEAR / 2, (spot >> 1 & 1) * NEAR - NEAR / 2, spot >> 2
        yaw = math.atan2(-dy, -dx) + rng.uniform(-0.5, 0.5)
        pos = (x + dx, y + dy, 100.0 if high else 17.0)
        vel = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
        cars.append(CarPlacement(pos, yaw, vel=vel, boost=100))
    return Placement(cars, (x, y, rng.uniform(200, 600)), tuple(rng.uniform(-500, 500, 3)))


def play(arenas: Arenas, state: State, seed: int) -> NDArray[np.float32]:
    """All states of STEPS steps, in which every car steers for the nearest one. Without the score, which goes on."""
    rng, after, seen = np.random.default_rng(seed), arenas.state(), []
    for _ in range(STEPS):
        controls = rng.uniform(-1, 1, (arenas.num_cars, 8)).astype(np.float32)
        pos, forward = state.car_pos[arenas.present], state.car_forward[arenas.present]
        away = pos[None] - pos[:, None]
        nearest = (np.linalg.norm(away, axis=-1) + 1e9 * np.eye(len(pos))).argmin(1)
        aim = away[np.arange(len(pos)), nearest]
        controls[:, 0] = 1
        controls[:, 1] = np.sign(forward[:, 0] * aim[:, 1] - forward[:, 1] * aim[:, 0])
        controls[:, 5] -= 0.7
        arenas.step(controls, state, after)
        state, after = after, state
        kept = state.copy()
        kept.arenas["blue_score"] = kept.arenas["orange_score"] = 0
        seen.append(kept.memory)
    return np.array(seen)


def future(arenas: Arenas, start: Placement | dict[str, NDArray[np.float32]], seed: int) -> NDArray[np.float32]:
    """What `play` sees in a batch of one arena after a placement or a snapshot."""
    state = arenas.state()
    if isinstance(start, Placement):
        arenas.place(0, start, state)
    else:
        arenas.restore(start)
        arenas.read(0, state)
    return play(arenas, state, seed)


def compare(size: tuple[int, int], trials: int, seed: int) -> tuple[int, int]:
    """Play crowds in an arena that is used on and on and in new ones, made in memory that was used before. Returns the
    numbers of demolitions and of starts (placements, snapshots) whose futures differ."""
    rng, used, kept = random.Random(seed), Arenas([size], 8), []
    demos = different = 0
    for trial in range(trials):
        if rng.random() < 0.5:
            future(used, crowd(sum(size), 10**6 + trial), trial)
        new = Arenas([size], 8)
        one, other = (future(arenas, crowd(sum(size), trial), trial) for arenas in (used, new))
        different += not np.array_equal(one, other)
        demos += int(State(1, one[-1]).cars["demos"].sum())
        saved = new.snapshot()
        new = Arenas([size], 8)
        one, other = (future(arenas, saved, trial) for arenas in (used, new))
        different += not np.array_equal(one, other)
        kept.append(new)
        if len(kept) > 6:
            rng.shuffle(kept)
            del kept[:4]
    return demos, different


@pytest.mark.parametrize("size", [(1, 1), (2, 2)])
def test_a_used_arena_has_the_same_future_as_a_new_one(size: tuple[int, int]) -> None:
    demos, different = compare(size, trials=9, seed=0)
    assert demos > 0 and different == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_used_arenas_have_the_same_future_as_new_ones_in_many_trials(size: tuple[int, int]) -> None:
    demos, different = compare(size, trials=150, seed=1)
    assert demos > 10 and different == 0


@pytest.mark.slow
def test_the_future_is_the_same_in_another_process() -> None:
    command = [sys.executable, "-c", f"from {__name__} import digest; print('digest', digest(60))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["digest", str(digest(60))]


def digest(trials: int) -> int:
    """A number that stands for the futures of many crowds."""
    load_meshes()
    arenas = Arenas([(2, 2)], 8)
    return sum(
        int(future(arenas, crowd(4, trial), trial).view(np.uint32).sum(dtype=np.uint64)) for trial in range(trials)
    )


def test_the_accepted_order_is_that_of_a_tick() -> None:
    arena, cars = make_arena([0, 1, 2, 3])
    order = tick_order(arena, cars)
    assert order in ([3, 2, 1, 0], [0, 1, 2, 3])
    assert tick_order(arena, cars[::-1]) == [3 - i for i in order]  # the same cars under other numbers
    assert tick_order(arena, cars[1:3]) == [i - 1 for i in order if i in (1, 2)]


def test_a_demolished_car_is_where_it_was_demolished_also_in_a_restored_arena() -> None:
    arenas, other = Arenas([(1, 1)], 8), Arenas([(1, 1)], 8)
    state, after = arenas.state(), arenas.state()
    cars = [CarPlacement((-400.0, 0.0, 17.0), 0.0, vel=(2290.0, 0.0, 0.0)), CarPlacement((0.0, 0.0, 17.0), 0.0)]
    arenas.place(0, Placement(cars, (2000.0, 2000.0, 93.15)), state)
    for _ in range(6):
        arenas.step(np.zeros((2, 8), np.float32), state, after)
        state, after = after, state
    assert state.car_is_demoed[0].tolist() == [0, 0, 1, 0] and abs(state.car_pos[0, 2, 0]) < 100
    other.restore(arenas.snapshot())
    other.read(0, after)
    np.testing.assert_array_equal(after.car_pos, state.car_pos)
    np.testing.assert_array_equal(after.car_vel, state.car_vel)
