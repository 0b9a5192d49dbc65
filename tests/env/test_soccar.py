"""The Gymnasium environment: the checkers of the field, seeds, opponents."""

import re
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordVideo

import rlbot.env
from rlbot.env import ACTION_TABLE, RocketSimEnv, Rules
from rlbot.env.reset import RESETS
from tests.conftest import random_controls


@pytest.mark.filterwarnings("ignore:.*Box observation space.*:UserWarning")
@pytest.mark.parametrize(("discrete", "shape"), [(False, (8,)), (True, ())])
def test_gymnasiums_checker_passes(discrete: bool, shape: tuple[int, ...]) -> None:
    env = gymnasium.make("RocketSim-v0", opponent="random", discrete=discrete)
    assert env.observation_space.shape == (180,) and env.action_space.shape == shape
    check_env(env.unwrapped, skip_render_check=True)


def test_a_discrete_action_is_a_row_of_the_table() -> None:
    env, same = gymnasium.make("RocketSim-v0", discrete=True), gymnasium.make("RocketSim-v0")
    assert isinstance(env.action_space, gymnasium.spaces.Discrete) and env.action_space.n == 90
    np.testing.assert_array_equal(env.reset(seed=2)[0], same.reset(seed=2)[0])
    for choice in (np.int64(25), 7, 89):
        np.testing.assert_array_equal(env.step(choice)[0], same.step(ACTION_TABLE[choice])[0])
    with pytest.raises(ValueError, match=r"^action=90: must be whole numbers from 0 to 89"):
        env.step(90)


def test_pictures_of_an_episode() -> None:
    env = gymnasium.make("RocketSim-v0", render_mode="rgb_array", blue=2, orange=2, opponent="random")
    assert env.metadata["render_modes"] == ["rgb_array"] and env.unwrapped.metadata["render_fps"] == 15
    env.reset(seed=1)
    pictures = []
    for _ in range(8):
        pictures.append(env.render())
        _, _, terminated, truncated, _ = env.step(np.array([1, 0, 0, 0, 0, 0, 1, 0], np.float32))
        assert not terminated and not truncated
    for picture in pictures:
        assert isinstance(picture, np.ndarray) and picture.shape == (440, 640, 3) and picture.dtype == np.uint8
    assert all((a != b).any() for a, b in pairwise(pictures)), "the cars move"
    assert RocketSimEnv().render() is None and RocketSimEnv(rules=Rules(tick_skip=4)).metadata["render_fps"] == 15
    assert RocketSimEnv(rules=Rules(tick_skip=4), render_mode="rgb_array").metadata["render_fps"] == 30


def test_the_last_picture_is_of_the_goal_and_not_of_the_next_kickoff() -> None:
    env = RocketSimEnv(reset_mix={"kickoff": 1.0}, rules=Rules(time_limit=0.5), render_mode="rgb_array")
    env.reset(seed=0)
    drive = np.array([1, 0, 0, 0, 0, 0, 1, 0], np.float32)
    for _ in range(30):
        before = env.render()
        if env.step(drive)[3]:
            break
    last = env.render()
    env.reset(seed=5)
    assert before is not None and last is not None
    assert (last != before).mean() < 0.05 < 1, "a step later, not somewhere else"
    assert (last != env.render()).any()


MOVIEPY = "needs moviepy (pip install moviepy), which both recorders write with and nothing else here needs"


def pictures_of(folder: Path) -> int:
    """How many pictures the only film in the folder has."""
    import imageio.v2 as imageio  # moviepy needs it

    (film,) = folder.glob("*.mp4")
    with imageio.get_reader(film) as reader:
        assert reader.get_meta_data()["fps"] == 15 and reader.get_data(0).shape == (440, 640, 3)
        return sum(1 for _ in reader)


def test_gymnasiums_recorder_writes_a_film(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason=MOVIEPY)
    env = RecordVideo(gymnasium.make("RocketSim-v0", render_mode="rgb_array"), str(tmp_path), disable_logger=True)
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.zeros(8, np.float32))
    env.close()
    assert pictures_of(tmp_path) == 11, "of the beginning, and after each step"


def test_stable_baselines3s_recorder_writes_a_film(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason=MOVIEPY)
    sb3 = pytest.importorskip("stable_baselines3.common.vec_env", reason="extra dev is not installed")
    envs = sb3.DummyVecEnv([lambda: RocketSimEnv(render_mode="rgb_array")])
    assert envs.render().shape == (440, 640, 3)
    recorder = sb3.VecVideoRecorder(envs, str(tmp_path), lambda step: step == 0, video_length=10)
    recorder.reset()
    for _ in range(12):
        recorder.step(np.zeros((1, 8), np.float32))
    recorder.close()
    assert pictures_of(tmp_path) in (10, 11)


def test_stable_baselines3s_checker_passes() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="extra dev is not installed")
    checker.check_env(RocketSimEnv(blue=1, orange=2), warn=True)
    checker.check_env(RocketSimEnv(discrete=True), warn=True)


@pytest.mark.parametrize("opponent", ["idle", "random", lambda obs: np.sign(obs[:, :8])])
def test_the_same_seed_gives_the_same_episode_bit_for_bit(opponent: object) -> None:
    played = []
    env = RocketSimEnv(2, 2, opponent)  # type: ignore[arg-type]
    for _ in range(2):
        rng, rows = np.random.default_rng(0), [env.reset(seed=7)[0]]
        for _ in range(80):
            obs, reward, terminated, truncated, _ = env.step(random_controls(rng, 1)[0])
            rows.append(np.append(obs, [reward, terminated, truncated]).astype(np.float32)[:180])
            if terminated or truncated:
                break
        played.append(np.array(rows))
    np.testing.assert_array_equal(*played)


def test_the_opponent_sees_its_own_side_and_drives_its_own_cars() -> None:
    seen = []

    def opponent(observations: np.ndarray) -> np.ndarray:
        seen.append(observations)
        return np.tile(np.array([1, 0, 0, 0, 0, 0, 1, 0], np.float32), (len(observations), 1))

    env = RocketSimEnv(1, 2, opponent, reset_mix={"kickoff": 1.0})
    first, _ = env.reset(seed=0)
    for _ in range(5):
        env.step(np.zeros(8, np.float32))
    assert seen[0].shape == (2, 180)
    state = env.state
    assert np.linalg.norm(state.car_vel[0, 2]) > 300 and np.linalg.norm(state.car_vel[0, 0]) < 10
    assert first[0] == 0 and seen[0][0, 0] == 0  # the ball lies in the middle for everybody


WRONG = [
    ({"blue": 4}, "blue=4: must be at most 3"),
    ({"orange": 0}, "orange=0: must be at least 1"),
    ({"opponent": "strong"}, "opponent='strong': give 'idle', 'random' or a function"),
    ({"opponent": None}, "opponent=None: give 'idle', 'random' or a function"),
    ({"reset_mix": {"nowhere": 1}}, "reset_mix.nowhere: no such name; there are: kickoff, near_ball"),
    ({"reset_mix": {"kickoff": -1}}, "reset_mix.kickoff=-1: must be at least 0"),
    ({"reset_mix": {"kickoff": 0}}, 'reset_mix={"kickoff": 0.0}: at least one share must be above 0'),
    ({"reset_mix": {}}, "reset_mix={}: at least one share must be above 0"),
    ({"terms": {"touch": np.nan}}, "terms.touch=NaN: must be a finite number"),
    ({"terms": {"touch": "much"}}, "terms.touch=much: must be a number"),
    ({"terms": {"tuch": 1.0}}, "reward.terms.tuch: no such name; did you mean touch?"),
    ({"terms": ["touch"]}, 'terms=["touch"]: must be a group of settings, such as {NAME: VALUE}'),
    ({"rules": 8}, "rules=8: must be rlbot.env.Rules(...)"),
    ({"render_mode": "human"}, "render_mode='human': give 'rgb_array' or None; rlbot.watch shows matches in 3D"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_what_does_not_exist_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        RocketSimEnv(**wrong)


def test_no_terms_are_a_reward_of_nothing() -> None:
    env = RocketSimEnv(terms={})
    env.reset(seed=0)
    assert [env.step(np.ones(8, np.float32))[1] for _ in range(30)] == [0.0] * 30


def test_without_a_seed_every_environment_plays_episodes_of_its_own() -> None:
    envs = [RocketSimEnv(opponent="random", reset_mix={"anywhere": 1.0}) for _ in range(2)]  # kickoffs may be the same
    starts = [env.reset()[0] for env in envs] + [envs[0].reset()[0]]
    assert all((a != b).any() for a, b in combinations(starts, 2))
    seeded = []
    for env in envs:  # a reset without a seed goes on with the numbers of the seeded one
        rows = [env.reset(seed=5)[0], *(env.step(np.zeros(8))[0] for _ in range(3)), env.reset()[0]]
        seeded.append([*rows, *(env.step(np.zeros(8))[0] for _ in range(3))])
    np.testing.assert_array_equal(*seeded)
    assert (seeded[0][0] != seeded[0][4]).any()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (17, "action=17: must be of shape (8,)"),
        (None, "action=None: must be of shape (8,)"),
        (np.zeros(1), "action of shape (1,): must be of shape (8,)"),
        (np.zeros((1, 8)), "action of shape (1, 8): must be of shape (8,)"),
        (np.full(8, np.nan), "action holds nan for throttle: must be finite numbers"),
        ([0, 0, 0, 0, -np.inf, 0, 0, 0], "action holds -inf for roll: must be finite numbers"),
    ],
)
def test_an_action_that_is_none_is_refused(action: Any, message: str) -> None:
    env = RocketSimEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        env.step(action)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (0.0, "controls of opponent=0.0: must be of shape (3, 8)"),
        (None, "controls of opponent=None: must be of shape (3, 8)"),
        (np.zeros(8), "controls of opponent of shape (8,): must be of shape (3, 8)"),
        (np.zeros((1, 8)), "controls of opponent of shape (1, 8): must be of shape (3, 8)"),
        (np.diag([0, np.nan, 0, 0, 0, 0, 0, 0])[:3], "controls of opponent[1] holds nan for steer: must be finite"),
    ],
)
def test_an_opponent_that_gives_no_controls_is_named(reply: Any, message: str) -> None:
    env = RocketSimEnv(2, 2, lambda observations: reply)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as caught:
        env.step(np.zeros(8))
    assert ("(slot 2 of arena 0)" in str(caught.value)) == ("nan" in message)


def test_what_an_opponent_gives_is_clipped() -> None:
    played = []
    for limit in (1.0, 50.0):
        env = RocketSimEnv(1, 1, lambda observations, limit=limit: np.full((1, 8), limit))
        env.reset(seed=1)
        played.append([env.step(np.zeros(8))[0] for _ in range(20)])
    np.testing.assert_array_equal(*played)


def test_the_defaults_name_real_terms_and_resets() -> None:
    from rlbot.reward import TERMS

    assert set(rlbot.env.vector.DEFAULT_TERMS) <= set(TERMS)
    assert set(rlbot.env.vector.DEFAULT_RESETS) <= set(RESETS)
