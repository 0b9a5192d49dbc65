"""RocketSim v3: what must not reach it, what happens where it breaks, and what it tells of a step."""

import math
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from rlbot.sim import CarPlacement, Placement, State, find_meshes, load_meshes, make_arenas
from tests.conftest import needs_rocketsim3, random_controls

pytestmark = needs_rocketsim3
ROOT = Path(__file__).parents[2]
TOUCH, BUMP, DEMOLITION, PAD, GOAL, RESPAWN = range(6)
START = Placement([CarPlacement((-1000.0, 0.0, 17.0), 0.0), CarPlacement((1000.0, 0.0, 17.0), math.pi)])


@pytest.fixture(autouse=True)
def _loaded() -> None:
    load_meshes(engine="rocketsim3")


def duel(count: int = 1):  # type: ignore[no-untyped-def]
    """Arenas of 1v1 that stand at START, and their state."""
    arenas = make_arenas([(1, 1)] * count, 8, engine="rocketsim3")
    state = arenas.state()
    for n in range(count):
        arenas.place(n, START, state)
    return arenas, state


def test_the_version_is_the_one_that_is_pinned() -> None:
    import rlbot_native

    assert f'rocketsim = "={rlbot_native.ROCKETSIM}"' in (ROOT / "native" / "Cargo.toml").read_text()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e20, 30_000.0])
@pytest.mark.parametrize("field", ["ball_pos", "pos"])
def test_a_placement_that_is_not_finite_or_outside_is_refused_and_changes_nothing(bad: float, field: str) -> None:
    arenas, _ = duel()
    before, after = arenas.snapshot(), arenas.state()
    car = CarPlacement((bad if field == "pos" else 0.0, 500.0, 17.0), 0.0)
    wrong = Placement([START.cars[0], car], (bad, 0.0, 93.0) if field == "ball_pos" else (0.0, 0.0, 93.0))
    with pytest.raises(ValueError, match=r"(the ball|car 1) (is not finite|is outside the field)"):
        arenas.place(0, wrong, after)
    assert all(np.array_equal(before[name], each) for name, each in arenas.snapshot().items())


@pytest.mark.parametrize(
    "change", [{"yaw": math.nan}, {"vel": (0, math.inf, 0)}, {"ang_vel": (1e9, 0, 0)}, {"boost": math.nan}]
)
def test_a_car_that_cannot_be_is_refused(change: dict[str, float]) -> None:
    arenas, state = duel()
    car = CarPlacement(**({"pos": (0.0, 500.0, 17.0), "yaw": 0.0} | change))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"car 1 is (not finite|faster)|boost is not finite"):
        arenas.place(0, Placement([START.cars[0], car]), state)


def test_a_snapshot_that_was_damaged_is_refused() -> None:
    arenas, _ = duel(2)
    for name, at, value in (
        ("ball", 0, math.nan),
        ("ball", 0, 1e9),
        ("car_state", 2, math.inf),
        ("car_state", -2, 99.0),
    ):
        saved = arenas.snapshot()
        saved[name][1, at] = value
        with pytest.raises(ValueError, match=r"not finite|outside the field|does not exist"):
            arenas.restore(saved)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_arena_whose_controls_are_not_finite_says_so_and_the_others_go_on(bad: float) -> None:
    arenas, state = duel(3)
    other, other_state = duel(3)
    after, expected, controls = arenas.state(), other.state(), random_controls(np.random.default_rng(0), 6)
    other.step(controls, other_state, expected)
    controls[2, 1] = bad
    arenas.step(controls, state, after)
    assert dict(arenas.broken) == {1: "controls of car 0 are not finite"}
    assert np.isnan(after.ball_pos[1]).all() and np.isnan(after.car_pos[1, [0, 2]]).all()
    for n in (0, 2):
        assert after.arenas[n] == expected.arenas[n] and (after.cars[n] == expected.cars[n]).all()
    controls[2, 1] = 0
    arenas.step(controls, state, after)  # it stands still until it is placed anew
    assert 1 in arenas.broken
    arenas.place(1, START, state)
    other.place(1, START, other_state)
    arenas.step(controls, state, after)
    other.step(controls, other_state, expected)
    assert not arenas.broken and after.arenas[1] == expected.arenas[1] and (after.cars[1] == expected.cars[1]).all()


def test_a_panic_of_the_engine_breaks_one_arena_and_is_told() -> None:
    """A car that is turned into nothing: its rotation is all zeros, which Bullet's solver does not survive."""
    arenas, state = duel(2)
    saved = arenas.snapshot()
    saved["car_state"][1, 9:18] = 0.0
    with suppress(ValueError):
        arenas.restore(saved)
    after = arenas.state()
    for _ in range(20):
        arenas.step(np.ones((4, 8), np.float32), state, after)
        state, after = after, state
    assert set(arenas.broken) <= {0} and np.isfinite(state.ball_pos[1]).all()
    arenas.place(0, START, state)
    arenas.step(np.zeros((4, 8), np.float32), state, after)
    assert not arenas.broken and np.isfinite(after.memory).all()


def test_arrays_of_another_shape_kind_or_layout_are_refused() -> None:
    arenas, state = duel(3)
    games, rows = arenas._games, (state.arena_rows, state.car_rows)
    good = np.zeros((6, 8), np.float32)
    for wrong in (good.astype(np.float64), good[:-1], good.ravel()):
        with pytest.raises((TypeError, ValueError)):
            games.step(wrong, 0, 8, *rows)
    with pytest.raises((TypeError, ValueError), match=r"contiguous"):
        games.step(np.zeros((6, 16), np.float32)[:, ::2], 0, 8, *rows)
    read_only = state.read_only()
    with pytest.raises((TypeError, ValueError), match=r"writ|read"):
        games.step(good, 0, 8, read_only.arena_rows, read_only.car_rows)
    with pytest.raises((TypeError, ValueError)):
        games.step(good, 0, 8, state.arena_rows[:-1], state.car_rows)
    for n in (3, 99):
        with pytest.raises(IndexError, match=rf"no game {n}\b"):
            games.read(n, *rows)
        with pytest.raises(IndexError, match=rf"no game {n}\b"):
            games.place(n, np.zeros(9, np.float32), np.zeros((2, 13), np.float32))
    with pytest.raises(ValueError, match="shape"):
        games.place(0, np.zeros(9, np.float32), np.zeros((1, 13), np.float32))


def test_games_of_up_to_eight_cars_and_nothing_else() -> None:
    import rlbot_native

    from rlbot.sim import PAD_POSITION

    pads = PAD_POSITION.tolist()
    for slots in ([], [7], [*range(8)]):
        assert len(rlbot_native.Games([slots], 8, pads)) == 1
    for slots, most in (([8], 8), ([1, 0], 4), ([0, 0], 4), ([0], 9)):
        with pytest.raises(ValueError, match=r"slots=|max_cars="):
            rlbot_native.Games([slots], most, pads)
    with pytest.raises(ValueError, match=r"34 boost pads|no boost pad at"):
        rlbot_native.Games([[0]], 4, pads[:-1])
    with pytest.raises(ValueError, match=r"no boost pad at \(1, 1\)"):
        rlbot_native.Games([[0]], 4, [[1.0, 1.0], *pads[1:]])


def _python(code: str) -> str:
    """What it prints, and the last line of an error."""
    done = subprocess.run([sys.executable, "-c", f"import rlbot_native\n{code}"], capture_output=True, text=True)
    return done.stdout + (done.stderr.splitlines()[-1] if done.returncode else "")


def test_meshes_are_loaded_first_once_and_whole(tmp_path: Path) -> None:
    soccar = tmp_path / "soccar"
    assert "load_meshes must be called first" in _python("rlbot_native.Games([[0]], 4, [])")
    assert "no folder" in _python(f"rlbot_native.load_meshes({str(tmp_path)!r})")
    soccar.mkdir()
    assert "ValueError" in _python(f"rlbot_native.load_meshes({str(tmp_path)!r})")
    (soccar / "mesh_0.cmf").write_bytes(b"\\x01\\x00\\x00\\x00\\x02")
    assert "ValueError" in _python(f"rlbot_native.load_meshes({str(tmp_path)!r})")
    there = str(find_meshes())
    again = f"rlbot_native.load_meshes({there!r})\n" * 2
    assert "already loaded" in _python(f"{again}rlbot_native.load_meshes({str(tmp_path)!r})")
    retried = (
        f"try: rlbot_native.load_meshes({str(tmp_path)!r})\nexcept ValueError: print('first')\n{again}print('then')"
    )
    assert _python(retried).split() == ["first", "then"]


def test_other_threads_run_during_a_step_and_may_not_step_the_same_arenas() -> None:
    arenas, state = duel(64)
    after, controls, refused = arenas.state(), np.zeros((128, 8), np.float32), []

    def step(into: State) -> None:
        try:
            for _ in range(20):
                arenas.step(controls, state, into)
        except RuntimeError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=step, args=(arenas.state(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("borrowed" in each for each in refused)
    arenas.step(controls, state, after)
    assert np.isfinite(after.memory).all()


def test_the_events_of_a_step() -> None:
    arenas = make_arenas([(1, 1)] * 4, 8, engine="rocketsim3")
    state, after = arenas.state(), arenas.state()
    away = CarPlacement((3000.0, 3000.0, 17.0), 0.0)
    fast = CarPlacement((-200.0, 0.0, 17.0), 0.0, vel=(2290.0, 0.0, 0.0))
    high = (0.0, 0.0, 1500.0)
    arenas.place(0, Placement([fast, away]), state)  # touches the ball
    arenas.place(1, Placement([fast, CarPlacement((0.0, 0.0, 17.0), 0.0)], high), state)  # demolishes
    arenas.place(2, Placement([away, CarPlacement((-3584.0, 0.0, 17.0), 0.0, boost=0)], high), state)  # takes a pad
    arenas.place(3, Placement([away, away], (0.0, 5200.0, 300.0), (0.0, 2000.0, 0.0)), state)  # blue scores
    arenas.step(np.zeros((8, 8), np.float32), state, after)
    found = {tuple(event[[0, 2, 3]]) for event in arenas.events()}
    assert {(0, TOUCH, 0), (1, DEMOLITION, 0), (2, PAD, 1), (3, GOAL, -1)} <= found
    assert all(0 <= tick < 8 for tick in arenas.events()[:, 1])
    back = []
    for step in range(60):
        state, after = after, state
        arenas.step(np.zeros((8, 8), np.float32), state, after)
        back += [step for event in arenas.events() if tuple(event[[0, 2, 3]]) == (1, RESPAWN, 1)]
    assert len(back) == 1 and 43 <= back[0] <= 46  # 3 s of 15 steps each


def test_head_ons_do_not_depend_on_the_colour() -> None:
    """Each of 40 head-ons at full speed, and the same turned half round with the colours swapped. In RocketSim v2 the
    car that was added last wins them."""
    rng, controls = np.random.default_rng(1), np.zeros((160, 8), np.float32)
    controls[:, [0, 6]] = 1  # full throttle, boost
    arenas = make_arenas([(1, 1)] * 80, 8, engine="rocketsim3")
    state, after = arenas.state(), arenas.state()
    for n in range(0, 80, 2):
        cars = []
        for side in (-1, 1):
            x, y, yaw, speed = rng.uniform((-40, 600, -0.05, 2210), (40, 900, 0.05, 2300))
            cars.append((x, side * y, yaw - side * math.pi / 2, speed))
        for turned, pair in ((False, cars), (True, cars[::-1])):
            sign, more = (-1, math.pi) if turned else (1, 0.0)
            placed = [
                CarPlacement(
                    (sign * x, sign * y, 17.0),
                    yaw + more,
                    vel=(v * math.cos(yaw + more), v * math.sin(yaw + more), 0.0),
                )
                for x, y, yaw, v in pair
            ]
            arenas.place(n + turned, Placement(placed, (sign * 3500.0, 0.0, 93.15)), state)
    for _ in range(8):
        arenas.step(controls, state, after)
        state, after = after, state
    blue, orange = state.car_demos[:, 0], state.car_demos[:, 2]
    assert blue.sum() == orange.sum() > 40
    np.testing.assert_array_equal(blue[::2], orange[1::2])
    np.testing.assert_array_equal(orange[::2], blue[1::2])
