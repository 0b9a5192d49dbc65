"""RocketSim v3 beside v2: the same starts and controls, and how far apart they end. Bounds are about twice what was
measured; contacts are compared by their numbers, since a touch a tick later is another touch."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE, reset
from rlbot.sim import Arenas, CarPlacement, Placement, State, make_arenas
from tests.conftest import needs_rocketsim3

pytestmark = needs_rocketsim3
ENGINES = ("rocketsim2", "rocketsim3")
BATCH = 50  # arenas of RocketSim v2, which are slow to make: they play scene after scene
Controls = Callable[[int], NDArray[np.float32]]  # of a step, (cars, 8)


def both() -> dict[str, Arenas]:
    return {engine: make_arenas([(1, 1)] * BATCH, 8, engine=engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def pair() -> dict[str, Arenas]:
    return both()


def play(arenas: Arenas, starts: list[Placement], steps: int, controls: Controls) -> list[State]:
    states = [arenas.state()]
    for n, start in enumerate(starts):
        arenas.place(n, start, states[0])
    for step in range(steps):
        states.append(arenas.state())
        arenas.step(controls(step), *states[-2:])
    return states


def apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.linalg.norm(one.astype(np.float64) - other, axis=-1)
    return distance


def away(i: int) -> CarPlacement:
    return CarPlacement((-3500.0 + 300.0 * i, -4000.0, 17.0), 0.0)


def test_a_ball_and_cars_in_free_flight_stay_together(pair: dict[str, Arenas]) -> None:
    rng, starts = np.random.default_rng(0), []
    for _ in range(BATCH):
        x, y, z, vx, vy, vz = rng.uniform((-2000, -2000, 900, -800, -800, 0), (2000, 2000, 1200, 800, 800, 300))
        spin = tuple(rng.uniform(-3, 3, 3))
        flying = CarPlacement((x, y - 800, z), *rng.uniform(-1, 1, 3), (vx, vy, vz), spin)
        starts.append(Placement([flying, away(0)], (x, y + 800, z), (vx, vy, vz), spin))
    nothing = np.zeros((2 * BATCH, 8), np.float32)
    two, three = (play(pair[engine], starts, 8, lambda step: nothing) for engine in ENGINES)
    for steps, ball, car in ((1, 0.05, 0.05), (8, 0.4, 0.6)):
        assert apart(two[steps].ball_pos, three[steps].ball_pos).max() < ball
        assert apart(two[steps].car_pos[:, 0], three[steps].car_pos[:, 0]).max() < car
        np.testing.assert_allclose(two[steps].ball_ang_vel, three[steps].ball_ang_vel, atol=0.01)
        np.testing.assert_allclose(two[steps].car_forward[:, 0], three[steps].car_forward[:, 0], atol=0.02)


def test_cars_that_drive_and_steer_stay_together(pair: dict[str, Arenas]) -> None:
    rng = np.random.default_rng(1)
    driving = np.zeros((2 * BATCH, 8), np.float32)
    driving[:, 0], driving[:, 1] = rng.uniform(0.3, 1, 2 * BATCH), rng.uniform(-1, 1, 2 * BATCH)
    starts = []
    for _ in range(BATCH):
        x, y, yaw, speed = rng.uniform((-1500, -3000, -3, 0), (1500, 3000, 3, 1400))
        cars = [
            CarPlacement((x + shift, y, 17.0), yaw, vel=(speed * math.cos(yaw), speed * math.sin(yaw), 0.0))
            for shift in (-1000, 1000)
        ]
        starts.append(Placement(cars, (0.0, 0.0, 1900.0), (0.0, 0.0, 500.0)))
    two, three = (play(pair[engine], starts, 8, lambda step: driving) for engine in ENGINES)
    for steps, typical, most in ((1, 1.5, 4.0), (8, 12.0, 40.0)):  # v2's throttle acts a tick later
        distance = apart(two[steps].car_pos[:, [0, 2]], three[steps].car_pos[:, [0, 2]])
        assert np.median(distance) < typical and np.percentile(distance, 95) < most
    assert two[8].car_on_ground[:, [0, 2]].all() and three[8].car_on_ground[:, [0, 2]].all()


def compare_play(pair: dict[str, Arenas], rounds: int) -> tuple[dict[str, dict[str, float]], NDArray[np.float64]]:
    """Averages of 4 s of play from the project's own starts under random actions, and how far balls that nobody touched
    are apart after 8 ticks."""
    mix = {"kickoff": 0.2, "near_ball": 0.5, "airborne": 0.1, "anywhere": 0.2}
    totals = {
        engine: dict.fromkeys(("touched", "on_ground", "speed", "boost", "height", "flipped"), 0.0)
        for engine in ENGINES
    }
    balls = []
    for number in range(rounds):
        rng = np.random.default_rng(number)
        starts = [reset.draw(rng, mix, (1, 1)) for _ in range(BATCH)]
        drawn = np.random.default_rng(number).integers(0, len(ACTION_TABLE), (60, 2 * BATCH))
        seen = {
            engine: play(pair[engine], starts, 60, lambda step, drawn=drawn: ACTION_TABLE[drawn[step]])
            for engine in ENGINES
        }  # type: ignore[misc]
        for engine, states in seen.items():
            for state in states[1:]:
                cars = state.cars[:, [0, 2]]
                for name, value in (
                    ("touched", cars["touched"]), ("on_ground", cars["on_ground"]), ("boost", cars["boost"]),
                    ("speed", np.linalg.norm(cars["vel"], axis=-1)), ("height", state.ball_pos[:, 2]),
                    ("flipped", cars["has_flipped"]),
                ):  # fmt: skip
                    totals[engine][name] += float(value.mean())
        first = [states[1] for states in seen.values()]
        untouched = ~np.any([state.car_touched.any(1) for state in first], axis=0)
        balls.append(apart(first[0].ball_pos, first[1].ball_pos)[untouched])
    return totals, np.concatenate(balls)


def check_play(totals: dict[str, dict[str, float]], balls: NDArray[np.float64], within: float) -> None:
    for name, two in totals["rocketsim2"].items():
        bound = 2 * within if name == "touched" else within  # a few dozen in a hundred scenes
        assert totals["rocketsim3"][name] == pytest.approx(two, rel=bound), name
    assert np.percentile(balls, 95) < 0.1


def test_averages_of_play_are_alike(pair: dict[str, Arenas]) -> None:
    check_play(*compare_play(pair, rounds=2), within=0.25)


@pytest.mark.slow
def test_averages_of_play_are_alike_in_a_thousand_scenes(pair: dict[str, Arenas]) -> None:
    check_play(*compare_play(pair, rounds=20), within=0.1)


def test_rules_are_the_same(engine: str) -> None:
    """Boost: 33.3 a second, and 0.1 s at least. Supersonic from 2200 uu/s. A flip until 1.25 s after a jump."""
    arenas = make_arenas([(1, 1)] * 2, 4, engine=engine)
    state = arenas.state()
    fast = CarPlacement((500.0, -2200.0, 17.0), math.pi / 2, vel=(0.0, 2290.0, 0.0), boost=100)
    slow = CarPlacement((1000.0, -2200.0, 17.0), math.pi / 2, vel=(0.0, 1500.0, 0.0), boost=100)
    for n in range(2):
        arenas.place(n, Placement([fast, slow], (-3000.0, 3000.0, 93.0)), state)
    controls = np.zeros((4, 8), np.float32)
    controls[0, [0, 6]] = 1  # boosts
    controls[2, 5] = 1  # jumps, and lets go
    flips, states = [], [state]
    for step in range(40):
        if step == 2:
            controls[2, 5] = 0
        states.append(arenas.state())
        arenas.step(controls, *states[-2:])
        flips.append(bool(states[-1].car_has_flip[1, 0]))
    second = states[30]  # 120 ticks
    assert second.car_boost[0, 0] == pytest.approx(100 - 100 / 3, abs=0.6)
    assert states[1].car_is_supersonic[0, [0, 2]].tolist() == [1, 0]
    assert states[3].car_has_jumped[1, 0] == 1 and not states[3].car_on_ground[1, 0]
    in_the_air = [not state.car_on_ground[1, 0] for state in states[1:]]
    assert all(flips[step] for step in range(30) if in_the_air[step])  # 30 steps of 4 ticks are 1 s
