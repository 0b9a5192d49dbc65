"""Pictures show what they are of."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rlbot.picture import TopView, heatmap
from rlbot.picture.clip import frames, write_gif
from rlbot.picture.heatmap import Traces, cells
from rlbot.sim import PAD_POSITION, State
from tests.recording.test_recording import played


def empty() -> State:
    """A field without cars, the ball high above a corner."""
    state = State(1)
    state.ball_pos[0] = 4000, 5000, 93
    return state


def test_it_is_an_array_of_the_field() -> None:
    picture = TopView().draw(empty())
    assert picture.shape == (440, 640, 3) and picture.dtype == np.uint8 and picture.flags.writeable
    left, right = picture[180:260, 30:55].mean((0, 1)), picture[180:260, 585:610].mean((0, 1))
    assert left[2] > left[0] and right[0] > right[2], "blue's goal on the left, orange's on the right"


@pytest.mark.parametrize(("slot", "red"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_car_is_where_it_is(slot: int, red: bool) -> None:
    state, view = empty(), TopView()
    before = view.draw(state)
    state.present[0, slot] = 1
    state.car_pos[0, slot] = 2000, -3000, 17  # x up, y to the right: the left upper quarter
    state.car_forward[0, slot] = 0, 1, 0
    after = view.draw(state)
    changed = np.argwhere((before != after).any(2))
    middle = changed.mean(0)
    scale = 640 / 12_600
    np.testing.assert_allclose(middle, [220 - 2000 * scale, 320 - 3000 * scale], atol=8)
    color = after[int(220 - 2000 * scale), int(320 - 3000 * scale)].astype(int)
    assert (color[0] > color[2]) == red
    state.car_is_demoed[0, slot] = 1
    np.testing.assert_array_equal(view.draw(state), before)


def test_a_pad_that_was_taken_is_dark() -> None:
    state, view = empty(), TopView()
    state.pad_timer[0, 3] = 5
    y, x = 220 - PAD_POSITION[3, 0] * 640 / 12_600, 320 + PAD_POSITION[3, 1] * 640 / 12_600
    taken, there = (view.draw(each)[int(y), int(x)] for each in (state, empty()))
    assert there[0] > 200 > 100 > taken[0]


def test_frames_of_a_clip() -> None:
    match = played(seconds=2.0)
    pictures = list(frames(match.states, match.ticks, 120, 10.0))
    assert len(pictures) == 21 and (pictures[0] != pictures[-1]).any()
    few = list(frames(match.states, match.ticks, 120, 10.0, start=1.0, stop=1.5, small=True))
    assert len(few) == 6 and few[0].shape == (220, 320, 3)
    file = io.BytesIO()
    write_gif(file, iter(pictures), 10.0)
    with Image.open(file) as image:
        assert image.format == "GIF" and image.size == (640, 440) and image.n_frames > 10  # type: ignore[attr-defined]
        assert image.info["duration"] == 100


def test_cells_lie_along_the_field() -> None:
    places = np.array([[-4096, -6000], [4095, 5999], [0, 0], [9999, -9999]], np.float32)  # x, y
    along, across = cells(places)
    assert along.tolist() == [0, 59, 30, 0] and across.tolist() == [0, 47, 24, 47]


def test_a_heat_map_is_a_png(tmp_path: Path) -> None:
    traces, other = Traces.empty(5.5), Traces.empty(5.5)
    assert traces.boost.shape == (2, 6)
    other.heat[0, 3, 4] = 7
    other.shots = np.array([[0, 100, 1], [500, 200, 0]], np.float32)
    for _ in range(2):
        traces.add(other)
    assert traces.heat.sum() == 14 and traces.shots.shape == (4, 3)
    heatmap.draw(traces, ("one $bad", "two"), "title", tmp_path / "heatmap.png")
    with Image.open(tmp_path / "heatmap.png") as image:
        assert image.size == (1040, 592)
    heatmap.draw(Traces.empty(1), ("one", "two"), "nothing", tmp_path / "empty.png")
