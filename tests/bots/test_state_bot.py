"""Players of the user's own that act from the state: named, made where they play, and checked."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot.bots import StateBot, asked
from rlbot.env import BatchEnv, Rules
from rlbot.rating import matches
from rlbot.rating.matches import Conditions, Pairing, load_player, play
from rlbot.reward import Reward
from rlbot.values.target import PartError, Target
from tests.bots.scenes import cars_of, needs_weights, some_state, weights

PAGE = Path(__file__).parents[2] / "docs" / "opponents.md"
SOURCE = '''
import numpy as np


class Chaser:
    """Drives at the ball with full boost."""

    def __init__(self, throttle=1.0):
        self.throttle = throttle

    def act(self, state, cars):
        arena, slot = cars.arena, cars.slot
        to_ball = state.ball_pos[arena] - state.car_pos[arena, slot]
        aside = (to_ball * state.car_right[arena, slot]).sum(1)
        controls = np.zeros((len(cars), 8), np.float32)
        controls[:, 0], controls[:, 6] = self.throttle, 1
        controls[:, 1] = np.clip(aside / 500, -1, 1)
        return controls


def wild(state, cars, strength):
    return strength * (2 * cars.random(8) - 1)


class Nothing:
    pass


def short(state, cars):
    return np.zeros((len(cars), 7))


def not_a_number(state, cars):
    controls = np.zeros((len(cars), 8))
    controls[1, 1] = np.nan
    return controls


def fails(state, cars):
    return 1 / len(cars[:0])


class Broken:
    def __init__(self):
        raise RuntimeError("no engine")
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def bot(file: Path, name: str, **arguments: Any) -> StateBot:
    return StateBot(name, Target(f"{file}:{name}", arguments), "opponent")


def test_a_class_or_a_function_plays_and_its_arguments_arrive(file: Path) -> None:
    state, cars = some_state(2, 0), cars_of([0, 1], [0, 3])
    slow = pickle.loads(pickle.dumps(bot(file, "Chaser", throttle=0.25).prepare()))
    assert slow.name == "Chaser" and slow.act(state, cars)[:, 0].tolist() == [0.25, 0.25]
    wild = bot(file, "wild", strength=3.0).act(state, cars)
    assert np.abs(wild).max() == 1 and len(np.unique(wild)) > 4, "clipped"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nothing", r"opponent: Nothing has no function act\(state, cars\)"),
        ("Broken", r"opponent: Broken fails: RuntimeError: no engine \(mine.py, line 45\)"),
        ("missing", r"opponent._target_=.*mine.py:missing: there is no function missing in"),
        ("short", r"opponent: short: controls of shape \(2, 7\): must be of shape \(2, 8\)"),
        (
            "not_a_number",
            r"opponent: not_a_number: controls\[1\] holds nan for steer: must be finite numbers "
            r"\(orange, slot 3 of arena 1\)",
        ),
        ("fails", r"opponent: fails fails: ZeroDivisionError: division by zero \(mine.py, line 40\)"),
    ],
)
def test_what_is_wrong_with_a_player_is_told_in_one_line(file: Path, name: str, said: str) -> None:
    with pytest.raises(PartError, match=said) as error:
        bot(file, name).act(some_state(2, 0), cars_of([0, 1], [0, 3]))
    assert "\n" not in str(error.value)


def test_weights_that_are_not_there_or_are_something_else(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pt"
    foreign.write_bytes(b"no network")
    for path, said in ((tmp_path / "gone.pt", "there is no file"), (foreign, "is not the TorchScript file of Nexto")):
        with pytest.raises(PartError, match=f"^opponent: nexto: .*{said}") as error:
            load_player(f"nexto:{path}", None, "opponent")
        assert "\n" not in str(error.value) and path.name in str(error.value)


def test_the_example_of_the_page_plays(tmp_path: Path) -> None:
    if not PAGE.is_file():
        pytest.skip("needs a checkout, with docs/")
    (example,) = re.findall(r"```python\n# driver.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "driver.py").write_text(example, encoding="utf-8")
    players = [bot(tmp_path / "driver.py", "Driver"), "idle"]
    (results,) = play(players, [Pairing(0, 1, 2)], Conditions(1, 1, 8.0, engine="rocketsim2"))
    assert results.count("touches")[:, 0].sum() >= 2, "it finds the ball"


@needs_weights
def test_the_weights_of_another_bot() -> None:
    with pytest.raises(PartError, match=r"necto-model\.pt is not the network of Nexto: it gives 12 numbers, not 90"):
        load_player(f"nexto:{weights('necto')}", None, "opponent")


def test_a_player_is_told_how_far_the_episode_is_and_what_its_cars_do() -> None:
    env = BatchEnv([(1, 1), (2, 1)], Reward([]), {"kickoff": 1.0}, Rules(4, time_limit=0.1), engine="rocketsim2")
    env.reset(seed=0)
    rows = np.array([1, 2, 4])
    first = asked(env, rows, rows + 10, 0, 0)
    assert (first.arena.tolist(), first.slot.tolist()) == ([0, 1, 1], [2, 0, 2])
    assert (first.of(env.state.car_pos) == env.state.car_pos[[0, 1, 1], [2, 0, 2]]).all()
    assert first.sign.tolist() == [-1, 1, -1]
    assert not first.ticks.any() and not first.controls.any() and first.tick_skip == 4
    given = np.random.default_rng(0).uniform(-1, 1, (5, 8)).astype(np.float32)
    env.step(given)
    then = asked(env, rows, rows + 10, 0, 1)
    assert then.ticks.tolist() == [4, 4, 4]
    np.testing.assert_array_equal(then.controls, given[rows])
    env.step(given)
    env.step(given)  # the limit of 0.1 s is reached: both begin anew
    assert not asked(env, rows, rows, 0, 3).ticks.any() and not asked(env, rows, rows, 0, 3).controls.any()
    assert (first.random(2) == asked(env, rows, rows + 10, 0, 0).random(2)).all()
    assert (first.random(2) != then.random(2)).all()


def test_matches_of_a_players_own_do_not_depend_on_the_processes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    players = [bot(file, "Chaser"), bot(file, "wild", strength=1.0)]
    pairing, conditions = [Pairing(0, 1, 4, record=1)], Conditions(2, 1, 8.0, engine="rocketsim2")
    (once,) = play(players, pairing, conditions)
    monkeypatch.setattr(matches, "CHUNK", 2)
    (spread,) = play(players, pairing, conditions, workers=2)
    np.testing.assert_array_equal(once.counts, spread.counts)
    assert once.recordings == spread.recordings
    assert once.count("touches")[:, 0].sum() > once.count("touches")[:, 1].sum(), "the chaser finds the ball"
