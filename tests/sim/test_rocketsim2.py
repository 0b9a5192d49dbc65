"""RocketSim v2: the batch of arenas against bare RocketSim, and the order in which it goes through the cars."""

import math

import numpy as np
import pytest
import RocketSim

from rlbot.sim import PAD_COOLDOWN, PAD_POSITION, CarPlacement, Placement, State, load_meshes
from rlbot.sim.rocketsim2 import Arenas
from rlbot.sim.rocketsim2.arenas import car_state
from rlbot.sim.rocketsim2.exact import make_arena, settle, tick_order
from tests.conftest import random_controls


@pytest.fixture(autouse=True)
def _loaded() -> None:
    load_meshes(engine="rocketsim2")


def placement(num_cars: int) -> Placement:
    cars = [CarPlacement((400.0 * i - 600, 900.0 * i - 1500, 17.0), 0.9 * i, boost=80) for i in range(num_cars)]
    return Placement(cars, (100.0, -50.0, 500.0), (300.0, 200.0, 0.0))


def started(tick_skip: int = 8, delay: int = 0) -> tuple[Arenas, State]:
    arenas = Arenas([(2, 2)], tick_skip, delay)
    state = arenas.state()
    arenas.place(0, placement(4), state)
    return arenas, state


@pytest.mark.parametrize("delay", [0, 3])
def test_the_same_controls_give_the_same_states_as_a_bare_arena(delay: int) -> None:
    arenas, state = started(tick_skip=8, delay=delay)
    bare = RocketSim.Arena(RocketSim.GameMode.SOCCAR)
    start = placement(4)
    cars = [bare.add_car(team) for team in (0, 0, 1, 1)]
    settle(bare, cars)
    bare.ball.set_state(RocketSim.BallState(pos=RocketSim.Vec(*start.ball_pos), vel=RocketSim.Vec(*start.ball_vel)))
    for car, place in zip(cars, start.cars, strict=True):
        car.set_state(
            RocketSim.CarState(
                pos=RocketSim.Vec(*place.pos),
                rot_mat=RocketSim.Angle(place.yaw, 0, 0).as_rot_mat(),
                wheels_with_contact=(True,) * 4,
                boost=80,
            )
        )
    rng, after = np.random.default_rng(3), arenas.state()
    for _ in range(150):
        controls = random_controls(rng, 4)
        arenas.step(controls, state, after)
        state, after = after, state
        if delay:
            bare.step(delay)
        for car, row in zip(cars, controls.tolist(), strict=True):
            jump, boost, handbrake = (x > 0 for x in row[5:])
            car.set_controls(RocketSim.CarControls(*row[:5], jump=jump, boost=boost, handbrake=handbrake))
        bare.step(8 - delay)
        ball = bare.ball.get_state()
        assert tuple(state.ball_pos[0]) == tuple(np.float32(x) for x in ball.pos)
        for slot, car in enumerate(cars):
            real = car.get_state()
            assert tuple(state.car_pos[0, slot]) == tuple(np.float32(x) for x in real.pos)
            assert tuple(state.car_up[0, slot]) == tuple(np.float32(x) for x in real.rot_mat.up)
            assert state.car_boost[0, slot] == np.float32(real.boost)
            assert state.car_has_flip[0, slot] == real.has_flip_or_jump()
            assert state.car_handbrake[0, slot] == np.float32(real.handbrake_val)
            assert state.car_demo_timer[0, slot] == np.float32(real.demo_respawn_timer)
        cooldowns = [pad.get_state().cooldown for pad in bare.get_boost_pads()]
        np.testing.assert_allclose(state.pad_timer[0], cooldowns, atol=1e-4)


def test_pads_are_those_of_the_game_and_mirror_each_other() -> None:
    arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR)  # the pads live as long as it does
    real = arena.get_boost_pads()
    assert [tuple(p) for p in PAD_POSITION] == [pad.get_pos().as_tuple()[:2] for pad in real]
    assert [c == 10 for c in PAD_COOLDOWN] == [pad.is_big for pad in real]
    np.testing.assert_array_equal(PAD_POSITION[::-1], -PAD_POSITION)


def test_whether_a_car_can_jump_or_flip_is_what_rocketsim_says() -> None:
    """Computed from what else is read; RocketSim's own answer costs a call for each car."""
    arenas, state = started()
    rng, limit = np.random.default_rng(0), float(np.float32(1.25))
    near = [limit, float(np.nextafter(np.float32(limit), np.float32(0))), float(np.nextafter(np.float32(limit), 2))]
    seen = set()
    for _ in range(3_000):
        said = []
        for car in arenas._cars[0]:
            ground, jumped, doubled, flipped = rng.random(4) < 0.4
            time = rng.choice(near) if rng.random() < 0.3 else rng.uniform(0, 2.5)
            car.set_state(
                RocketSim.CarState(
                    is_on_ground=bool(ground), has_jumped=bool(jumped), has_double_jumped=bool(doubled),
                    has_flipped=bool(flipped), air_time_since_jump=float(time),
                )
            )  # fmt: skip
            said.append(car.get_state().has_flip_or_jump())
            seen.add((bool(ground), bool(doubled), bool(flipped), time < limit, said[-1]))
        arenas.read(0, state)
        assert state.car_has_flip[0].tolist() == said
    assert len(seen) == 16


def test_a_pad_that_is_taken_as_soon_as_it_is_back_counts_anew() -> None:
    arenas, state = Arenas([(1, 1)], 8), None
    state, after = arenas.state(), arenas.state()
    x, y = PAD_POSITION[7]  # a small one: it is back after 4 s, and the car stands on it
    arenas.place(0, Placement([CarPlacement((x, y, 17.0), 0.0, boost=0), CarPlacement((0, 4000, 17), 0.0)]), state)
    brake = np.zeros((2, 8), np.float32)
    taken = []
    for step in range(130):
        arenas._cars[0][0].set_state(car_state(CarPlacement((x, y, 17.0), 0.0, boost=0)))
        arenas.step(brake, state, after)
        state, after = after, state
        real = arenas._pads[0][7].get_state()
        assert state.pad_active[0, 7] == real.is_active
        assert state.pad_timer[0, 7] == pytest.approx(real.cooldown, abs=1e-4)
        if state.car_boost[0, 0] > 0:
            taken.append(step)
    assert len(taken) == 3 and not state.pad_active[0, 7]


def test_a_car_that_is_demolished_in_play_lies_as_rocketsim_says() -> None:
    """Rammed at full speed while it turns: get_gym_state() shows how it was turned a tick before."""
    rng, arenas = np.random.default_rng(0), Arenas([(1, 1)] * 60, 8)
    state, after, controls = arenas.state(), arenas.state(), np.zeros((120, 8), np.float32)
    controls[::2, [0, 6]] = 1.0  # full throttle, boost
    for n in range(60):
        x, y, z, yaw = rng.uniform((-30, -100, 17, -3), (30, 300, 47, 3))
        runs = CarPlacement((0, -1200, 17), math.pi / 2, vel=(0, 2300, 0), boost=100)
        turns = CarPlacement((x, y, z), yaw, vel=(500, 0, 0), ang_vel=(0, 0, 5))
        arenas.place(n, Placement([runs, turns], (3000, 3000, 93)), state)
    seen = set()
    for _ in range(20):
        arenas.step(controls, state, after)
        state, after = after, state
        for n in np.flatnonzero(state.car_is_demoed[:, 2]).tolist():
            real = arenas._cars[n][1].get_state().rot_mat
            for name in ("forward", "right", "up"):
                assert tuple(state.cars[n, 2][name]) == tuple(np.float32(x) for x in getattr(real, name))
            seen.add(n)
    assert len(seen) >= 3


def test_the_accepted_order_is_that_of_a_tick() -> None:
    arena, cars = make_arena((2, 2))
    order = tick_order(arena, cars)
    assert order in ([3, 2, 1, 0], [0, 1, 2, 3])
    assert tick_order(arena, cars[::-1]) == [3 - i for i in order]  # the same cars under other numbers
    assert tick_order(arena, cars[1:3]) == [i - 1 for i in order if i in (1, 2)]


def test_only_what_rocketsim_says_of_nan_is_taken_for_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arena with NaN is read as far as it can be; another error of RocketSim's is raised as it is."""
    arenas, state = started()
    ball = arenas._arenas[0].ball.get_state()
    ball.pos = RocketSim.Vec(math.nan, 0.0, 100.0)
    arenas._arenas[0].ball.set_state(ball)
    arenas.read(0, state)
    assert math.isnan(state.ball_pos[0, 0]) and state.ball_pos[0, 2] == 100.0

    class Failing:
        def get_gym_state(self) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(arenas, "_arenas", [Failing()])
    with pytest.raises(RuntimeError, match="out of memory"):
        arenas.read(0, state)


def test_an_arena_to_which_orange_is_added_first_has_the_same_cars_in_the_same_slots() -> None:
    """Two blue cars, one orange: nothing touches, so the order of the cars changes nothing but their ids."""
    arenas = Arenas([(2, 1), (2, 1)], 8, orange_first=[False, True])
    state, after = arenas.state(), arenas.state()
    for n in range(2):
        arenas.place(n, placement(3), state)
    rng = np.random.default_rng(4)
    for step in range(25):
        if step == 12:  # the order is the arena's, a snapshot goes on in it
            snapshot = arenas.snapshot()
            arenas = Arenas([(2, 1), (2, 1)], 8, orange_first=[False, True])
            arenas.restore(snapshot)
        arenas.step(np.tile(random_controls(rng, 3), (2, 1)), state, after)
        state, after = after, state
        for name in ("pos", "vel", "forward", "boost", "team", "handbrake", "has_flip", "touched"):
            np.testing.assert_array_equal(state.cars[name][0], state.cars[name][1], err_msg=name)
    assert state.cars["id"].tolist() == [[1, 2, 3, 0], [2, 3, 1, 0]]
    assert state.cars["team"][1].tolist() == [0, 0, 1, 0]


def test_head_ons_are_fair_over_arenas_of_both_orders() -> None:
    """The car that was added last wins them; so the same 40 head-ons in an arena of each order are won by both colours
    as often."""
    rng, controls = np.random.default_rng(1), np.zeros((160, 8), np.float32)
    controls[:, [0, 6]] = 1  # full throttle, boost
    arenas = Arenas([(1, 1)] * 80, 8, orange_first=[False, True] * 40)
    state, after = arenas.state(), arenas.state()
    for n in range(0, 80, 2):
        cars = []
        for side in (-1, 1):
            x, y, yaw, speed = rng.uniform((-40, 600, -0.05, 2210), (40, 900, 0.05, 2300))
            yaw -= side * math.pi / 2
            vel = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
            cars.append(CarPlacement((x, side * y, 17.0), yaw, vel=vel))
        for each in (n, n + 1):
            arenas.place(each, Placement(cars, (3500.0, 0.0, 93.15)), state)
    for _ in range(8):
        arenas.step(controls, state, after)
        state, after = after, state
    blue, orange = state.car_demos[:, 0], state.car_demos[:, 2]
    assert orange[::2].sum() > 30 and blue[1::2].sum() > 30  # the one that was added last
    assert abs(blue.sum() - orange.sum()) <= 8
