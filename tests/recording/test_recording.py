"""Recordings: what was played comes back, fits into the size promised, and is refused where it is damaged."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlbot import recording
from rlbot.env import BatchEnv, Rules
from rlbot.recording import Decision, Recorder, Recording
from rlbot.recording.recording import HEADER, from_bytes
from rlbot.reward import Reward
from rlbot.sim import make_arenas
from tests.conftest import random_controls

RULES = Rules(time_limit=None, no_touch_limit=None)


def played(seconds: float = 4.0, team_size: int = 2, seed: int = 0) -> Recording:
    """Random play from kickoff, recorded; the cars hold what they chose for half a second, so that they move."""
    env = BatchEnv([(team_size, team_size)], Reward([]), {"kickoff": 1.0}, RULES)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    slots = env.arenas.slots[0]
    recorder = Recorder(slots, [f"car {slot}" for slot in slots])
    cars = len(slots)
    for step in range(round(seconds / RULES.seconds_per_step)):
        if step % 7 == 0:
            controls = random_controls(rng, cars)
            controls[:, 0] = controls[:, 6] = 1
        decision = Decision(
            controls,
            value=rng.normal(size=cars).astype(np.float32),
            action=rng.integers(0, 90, cars),
            action_probability=rng.random(cars, np.float32),
            top_actions=rng.integers(0, 90, (cars, 10)),
            top_probabilities=rng.random((cars, 10), np.float32),
        )
        recorder.add(env.state, [(slots, decision)])
        env.step(controls)
    recorder.add(env.state)
    return recorder.finish()


@pytest.fixture(scope="module")
def match() -> Recording:
    return played()


def test_what_was_saved_comes_back(match: Recording, tmp_path: Path) -> None:
    match.save(tmp_path / "match.npz")
    again = recording.load(tmp_path / "match.npz")
    assert again.header == match.header and again.slots == [0, 1, 2, 3]
    np.testing.assert_array_equal(again.ticks, np.arange(61) * 8)
    assert again.seconds == pytest.approx(4.0) and len(again) == 61
    for name in ("ball_pos", "car_pos", "car_vel", "car_up", "car_boost", "car_is_supersonic", "pad_timer", "present"):
        np.testing.assert_array_equal(getattr(again.states, name), getattr(match.states, name), err_msg=name)
    np.testing.assert_array_equal(again.states.pad_active, match.states.pad_active)
    np.testing.assert_allclose(again.states.car_right, match.states.car_right, atol=1e-5)
    for name, array in match.decisions.items():
        np.testing.assert_array_equal(again.decisions[name], array, err_msg=name)
    assert np.isnan(again.decisions["value"][-1]).all(), "nothing is decided in the last frame"


def test_a_match_of_3v3_comes_back(tmp_path: Path) -> None:
    match = played(1.0, team_size=3)
    match.save(tmp_path / "match.npz")
    again = recording.load(tmp_path / "match.npz")
    assert again.slots == [0, 1, 2, 3, 4, 5] and again.header["team_slots"] == 3
    assert [car["team"] for car in again.header["cars"]] == ["blue"] * 3 + ["orange"] * 3
    for name in ("car_pos", "car_team", "present"):
        np.testing.assert_array_equal(again.states.fields()[name], match.states.fields()[name], err_msg=name)
    np.testing.assert_array_equal(again.decisions["controls"], match.decisions["controls"])
    assert len(again.placement(5).cars) == 6


def test_a_file_that_does_not_name_its_slots_has_two_a_team(match: Recording) -> None:
    header = {name: value for name, value in match.header.items() if name != "team_slots"}
    older = Recording(header, match.ticks, match.states, match.decisions)
    again = from_bytes(older.to_bytes(), "old")
    assert again.slots == [0, 1, 2, 3] and again.states.team_slots == 2
    np.testing.assert_array_equal(again.states.car_pos, match.states.car_pos)


def test_numpy_reads_it(match: Recording, tmp_path: Path) -> None:
    match.save(tmp_path / "match.npz")
    with np.load(tmp_path / "match.npz") as arrays:
        assert arrays["car_pos"].shape == (61, 4, 3) and arrays["controls"].shape == (61, 4, 8)
        assert json.loads(arrays[HEADER])["tick_rate"] == 120


def test_two_minutes_of_2v2_take_less_than_2_megabytes() -> None:
    assert len(played(seconds=120.0).to_bytes()) < 2_000_000


def test_an_arena_starts_from_a_frame(match: Recording) -> None:
    arenas = make_arenas([(2, 2)], 8)
    state = arenas.state()
    for frame in (0, 20, 55):
        arenas.place(0, match.placement(frame), state)
        for name in ("ball_pos", "ball_vel", "car_pos", "car_vel", "car_ang_vel", "car_boost"):
            np.testing.assert_allclose(
                getattr(state, name)[0], getattr(match.states, name)[frame], atol=1e-3, err_msg=f"{name} of {frame}"
            )
        for name in ("car_forward", "car_up"):  # angles lose a little
            np.testing.assert_allclose(getattr(state, name)[0], getattr(match.states, name)[frame], atol=1e-4)


def test_a_recorder_without_frames_has_nothing_to_save() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Recorder([0], ["a"]).finish()


def changed(match: Recording, change: Callable[[dict[str, bytes]], object]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(match.to_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return memory.getvalue()


def npy(array: np.ndarray) -> bytes:
    memory = io.BytesIO()
    np.save(memory, array)
    return memory.getvalue()


def announced(frames: int) -> bytes:
    """The beginning of an array that says it has this many numbers."""
    memory = io.BytesIO()
    np.lib.format.write_array_header_1_0(memory, {"descr": "<i4", "fortran_order": False, "shape": (frames,)})
    return memory.getvalue()


def header(match: Recording, **changes: object) -> bytes:
    return json.dumps({**match.header, **changes}).encode()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda match: match.to_bytes()[:-100], "truncated"),
        (lambda match: match.to_bytes()[:2000], "truncated"),
        (lambda match: b"", "truncated"),
        (lambda match: b"\x89PNG and something else", "not a recording"),
        (lambda match: changed(match, lambda files: files.pop(HEADER)), f"there is no {HEADER} in it"),
        (lambda match: changed(match, lambda files: files.update({HEADER: b"{"})), "not a recording"),
        (lambda match: changed(match, lambda files: files.update({HEADER: b"[1]"})), "does not say format="),
        (lambda match: changed(match, lambda files: files.update({HEADER: b"[" * 10**5})), "not a recording"),
        (lambda match: changed(match, lambda f: f.update({HEADER: header(match, version=2)})), "it is of version 2"),
        (
            lambda match: changed(match, lambda f: f.update({HEADER: header(match, cars=[{"slot": 9}])})),
            "in the slots [9]",
        ),
        (lambda match: changed(match, lambda files: files.pop("car_pos.npy")), "there is no car_pos.npy in it"),
        (
            lambda match: changed(match, lambda files: files.update({"ball_pos.npy": npy(np.zeros(3))})),
            "its ball_pos is float64 (3,), not float32 (61, 3)",
        ),
        (
            lambda match: changed(match, lambda f: f.update({"ball_pos.npy": npy(np.full((61, 3), np.nan, "f4"))})),
            "its ball_pos holds numbers that are not finite",
        ),
        (
            lambda match: changed(match, lambda files: files.update({"ticks.npy": npy(-np.arange(61, dtype="i4"))})),
            "not in the order of time",
        ),
        (
            lambda match: changed(match, lambda f: f.update({HEADER: b" " * (2**24 + 1)})),
            "more than the 16777216 bytes",
        ),
        (
            lambda match: changed(match, lambda f: f.update({"ticks.npy": b" " * 3_000_000})),
            "more than the 2001024 bytes",
        ),
        (
            lambda match: changed(match, lambda f: f.update({"ticks.npy": announced(10**12)})),
            "its ticks cannot be read",
        ),
        (
            lambda match: changed(match, lambda f: f.update({"ticks.npy": announced(10**30)})),
            "its ticks cannot be read",
        ),
        (
            lambda match: changed(match, lambda f: f.update({"action.npy": npy(np.full((61, 4), 90, "i2"))})),
            "its action holds numbers of actions that are not in its action_table",
        ),
        (lambda match: changed(match, lambda f: f.update({HEADER: b"{}"})), "does not say format="),
        (lambda match: changed(match, lambda f: f.update({HEADER: header(match, cars=[{"slot": 0}])})), "no 'name'"),
        (
            lambda match: changed(match, lambda f: f.update({HEADER: header(match, cars=[{"slot": 0, "name": 5}])})),
            "the name of a car is not a text",
        ),
        (
            lambda match: changed(match, lambda f: f.update({HEADER: header(match, match_seconds=float("inf"))})),
            "its match_seconds is inf",
        ),
        (
            lambda match: changed(match, lambda f: f.update({HEADER: header(match, action_table=[[0] * 7])})),
            "its action_table is not rows of 8 numbers",
        ),
        (
            lambda match: changed(
                match, lambda f: f.update({HEADER: header(match, events=[{"tick": 8, "kind": "goal", "team": 7}])})
            ),
            "there is no such event: (8, 'goal', 7, None, None)",
        ),
    ],
)
def test_a_damaged_file_costs_one_line(match: Recording, change: Callable[[Recording], bytes], expected: str) -> None:
    with pytest.raises(ValueError, match=r"^recording=file: not a recording") as error:
        from_bytes(change(match), "recording=file")
    assert expected in str(error.value) and len(str(error.value).splitlines()) == 1


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"recording=.*none\.npz: No such file"):
        recording.load(tmp_path / "none.npz")


def test_a_small_file_that_unpacks_to_much_is_not_unpacked(match: Recording) -> None:
    """Whether its header states the size or a smaller one."""
    memory = io.BytesIO()
    with (
        zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(HEADER, "w") as file,
    ):
        for _ in range(100):
            file.write(b" " * 2**20)
    honest = memory.getvalue()
    told = struct.pack("<I", 100 * 2**20)
    lying = honest.replace(told, struct.pack("<I", 100))
    assert len(honest) < 1_000_000 and lying != honest
    for data in (honest, lying):
        tracemalloc.start()
        with pytest.raises(ValueError, match="not a recording"):
            from_bytes(data, "x")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 60e6


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("it was unpickled",))


def test_nothing_in_it_is_unpickled(match: Recording) -> None:
    array = np.empty(61, object)
    array[:] = [_Bomb()] * 61
    memory = io.BytesIO()
    np.save(memory, array, allow_pickle=True)
    assert pickle.dumps(_Bomb())  # it would do something
    data = changed(match, lambda files: files.update({"ticks.npy": memory.getvalue()}))
    with pytest.raises(ValueError, match="not a recording: its ticks cannot be read: Object arrays cannot be loaded"):
        from_bytes(data, "x")
