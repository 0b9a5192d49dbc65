"""Episodes that begin in the situations of recorded matches."""

from pathlib import Path

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.recording import Recorder, Recording
from rlbot.recording.starts import recorded_starts
from rlbot.reward import Reward
from rlbot.settings import command
from rlbot.training.build import make_stages
from rlbot.training.build_env import make_resets
from tests.conftest import random_controls


def played(teams: tuple[int, int], seed: int = 0, steps: int = 20) -> Recording:
    env = BatchEnv([teams], Reward([]), {"anywhere": 1.0}, Rules(time_limit=None, no_touch_limit=None))
    env.reset(seed=seed)
    rng, slots = np.random.default_rng(seed), env.arenas.slots[0]
    recorder = Recorder(slots, [f"car {slot}" for slot in slots])
    for _ in range(steps):
        recorder.add(env.state)
        env.step(random_controls(rng, len(slots)))
    recorder.add(env.state)
    return recorder.finish()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, teams in (("a", (1, 2)), ("b", (1, 1))):
        played(teams, seed=ord(name)).save(tmp_path / f"{name}.npz")
    return tmp_path


def test_every_frame_of_every_recording_that_fits_is_drawn(folder: Path) -> None:
    starts = recorded_starts(str(folder), "where", ((1, 1), (1, 2)))
    assert [len(each) for each in starts.frames] == [21, 21]
    assert starts.fitting((1, 1)) == [0, 1] and starts.fitting((1, 2)) == starts.fitting((2, 1)) == [0]
    rng = np.random.default_rng(0)
    drawn = [starts.draw(rng, (1, 1)) for _ in range(1000)]
    assert len({start.ball_pos for start in drawn}) == 42 and {len(start.cars) for start in drawn} == {2}
    assert starts.draw(np.random.default_rng(1), (1, 2)) == starts.draw(np.random.default_rng(1), (1, 2))


def test_teams_the_other_way_round_are_turned_half_round(folder: Path) -> None:
    starts = recorded_starts(str(folder / "a.npz"), "where", ((1, 2),))
    straight, turned = (starts.draw(np.random.default_rng(5), teams) for teams in ((1, 2), (2, 1)))
    np.testing.assert_allclose(turned.ball_pos, np.multiply(straight.ball_pos, (-1, -1, 1)))
    assert turned.pads[0] == straight.pads[33]
    for car, other in zip([turned.cars[2], *turned.cars[:2]], straight.cars, strict=True):
        np.testing.assert_allclose(car.pos, np.multiply(other.pos, (-1, -1, 1)))
        np.testing.assert_allclose(car.ang_vel, np.multiply(other.ang_vel, (-1, -1, 1)))
        assert car.yaw == pytest.approx(other.yaw + np.pi) and (car.boost, car.roll) == (other.boost, other.roll)


def test_what_cannot_be_used_is_told(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^where=.*: none of its recordings has enough cars for 2v2$"):
        recorded_starts(str(folder), "where", ((1, 1), (2, 2)))
    (folder / "none").mkdir()
    with pytest.raises(ValueError, match="holds no recordings"):
        recorded_starts(str(folder / "none"), "where", ((1, 1),))
    (folder / "c.npz").write_bytes(b"no recording")
    with pytest.raises(ValueError, match=r"^where=.*c\.npz: not a recording"):
        recorded_starts(str(folder), "where", ((1, 1), (1, 1)))


def test_the_settings_name_them(folder: Path) -> None:
    text = f"{{recordings: '{folder.as_posix()}', share: 3}}"
    config = command.compose(["curriculum=duel", f"+env.reset.matches={text}"])
    stage = make_stages(config)[0]
    env = BatchEnv([(1, 1)], Reward([]), make_resets(config, stage))
    env.reset(seed=0)
    doubles = command.compose(["curriculum=doubles", f"+env.reset.matches={text}"])
    with pytest.raises(ValueError, match=r"^env\.reset\.matches\.recordings=.* for 2v2"):
        make_resets(doubles, make_stages(doubles)[0])
