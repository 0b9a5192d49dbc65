"""The future of an arena is a function of the placement or snapshot and the controls, whatever happened before."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.sim import Arenas, CarPlacement, Placement, State, load_meshes, make_arenas
from tests.conftest import needs_rocketsim3

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


def compare(engine: str, size: tuple[int, int], trials: int, seed: int) -> tuple[int, int]:
    """Play crowds in an arena that is used on and on and in new ones, made in memory that was used before. Returns the
    numbers of demolitions and of starts (placements, snapshots) whose futures differ."""
    rng, used, kept = random.Random(seed), make_arenas([size], 8, engine=engine), []
    demos = different = 0
    for trial in range(trials):
        if rng.random() < 0.5:
            future(used, crowd(sum(size), 10**6 + trial), trial)
        new = make_arenas([size], 8, engine=engine)
        one, other = (future(arenas, crowd(sum(size), trial), trial) for arenas in (used, new))
        different += not np.array_equal(one, other)
        demos += int(State(1, one[-1]).cars["demos"].sum())
        saved = new.snapshot()
        new = make_arenas([size], 8, engine=engine)
        one, other = (future(arenas, saved, trial) for arenas in (used, new))
        different += not np.array_equal(one, other)
        kept.append(new)
        if len(kept) > 6:
            rng.shuffle(kept)
            del kept[:4]
    return demos, different


@pytest.mark.parametrize("size", [(1, 1), (2, 2)])
def test_a_used_arena_has_the_same_future_as_a_new_one(engine: str, size: tuple[int, int]) -> None:
    demos, different = compare(engine, size, trials=9, seed=0)
    assert demos > 0 and different == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_used_arenas_have_the_same_future_as_new_ones_in_many_trials(engine: str, size: tuple[int, int]) -> None:
    demos, different = compare(engine, size, trials=150, seed=1)
    assert demos > 10 and different == 0


SIZES = [(1, 1), (1, 2), (2, 1), (2, 2)]


def many(engine: str, scenes: int, steps: int, seed: int) -> tuple[Arenas, dict[str, float]]:
    """Crowds of every team size after `steps` steps of random controls, and how often what happened in them."""
    arenas = make_arenas([SIZES[n % 4] for n in range(scenes)], 8, engine=engine)
    state, after, rng = arenas.state(), arenas.state(), np.random.default_rng(seed)
    for n, slots in enumerate(arenas.slots):
        arenas.place(n, crowd(len(slots), seed + n), state)
    happened = dict.fromkeys(("touched", "demos", "has_jumped", "has_flipped", "boost_pickups"), 0.0)
    for _ in range(steps):
        controls = rng.uniform(-1, 1, (arenas.num_cars, 8)).astype(np.float32)
        controls[:, 0] = 1
        arenas.step(controls, state, after)
        state, after = after, state
        for name in happened:
            happened[name] += float(state.cars[name].sum())
    return arenas, happened


def on(arenas: Arenas, steps: int, seed: int) -> NDArray[np.float32]:
    """The states of `steps` more steps, without the score, which goes on."""
    state, after, rng = arenas.state(), arenas.state(), np.random.default_rng(seed)
    for n in range(len(arenas)):
        arenas.read(n, state)
    seen = []
    for _ in range(steps):
        arenas.step(rng.uniform(-1, 1, (arenas.num_cars, 8)).astype(np.float32), state, after)
        state, after = after, state
        kept = state.copy()
        kept.arenas["blue_score"] = kept.arenas["orange_score"] = 0
        seen.append(kept.memory)
    return np.array(seen)


@needs_rocketsim3
@pytest.mark.parametrize("steps", [1, 7, 20, 45])
def test_snapshots_of_many_scenes_go_on_alike_in_arenas_with_any_past(steps: int) -> None:
    """Into new arenas, into those that have played other scenes, and into the original ones."""
    load_meshes(engine="rocketsim3")
    original, happened = many("rocketsim3", scenes=120, steps=steps, seed=steps)
    if steps >= 20:
        assert min(happened.values()) > 0, happened
    saved = original.snapshot()
    other, _ = many("rocketsim3", scenes=120, steps=30, seed=1000)
    new = make_arenas([SIZES[n % 4] for n in range(120)], 8, engine="rocketsim3")
    futures = []
    for arenas in (new, other, original):
        arenas.restore(saved)
        again = arenas.snapshot()  # and the same numbers come out
        assert all(np.array_equal(again[name], saved[name]) for name in saved)
        futures.append(on(arenas, 30, seed=5))
    np.testing.assert_array_equal(futures[0], futures[1])
    np.testing.assert_array_equal(futures[0], futures[2])


@pytest.mark.slow
def test_the_future_is_the_same_in_another_process(engine: str) -> None:
    command = [sys.executable, "-c", f"from {__name__} import digest; print('digest', digest({engine!r}, 60))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["digest", str(digest(engine, 60))]


def digest(engine: str, trials: int) -> int:
    """A number that stands for the futures of many crowds."""
    load_meshes(engine=engine)
    arenas = make_arenas([(2, 2)], 8, engine=engine)
    return sum(
        int(future(arenas, crowd(4, trial), trial).view(np.uint32).sum(dtype=np.uint64)) for trial in range(trials)
    )
