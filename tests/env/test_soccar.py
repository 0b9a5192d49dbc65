"""The Gymnasium environment: the checkers of the field, seeds, opponents."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rlbot.env
from rlbot.env import RocketSimEnv
from rlbot.env.reset import RESETS
from tests.conftest import random_controls


@pytest.mark.filterwarnings("ignore:.*Box observation space.*:UserWarning")
def test_gymnasiums_checker_passes() -> None:
    env = gymnasium.make("RocketSim-v0", opponent="random")
    assert env.observation_space.shape == (180,) and env.action_space.shape == (8,)
    check_env(env.unwrapped, skip_render_check=True)


def test_stable_baselines3s_checker_passes() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="extra dev is not installed")
    checker.check_env(RocketSimEnv(blue=1, orange=2), warn=True)


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
    state = env._batch.state
    assert np.linalg.norm(state.car_vel[0, 2]) > 300 and np.linalg.norm(state.car_vel[0, 0]) < 10
    assert first[0] == 0 and seen[0][0, 0] == 0  # the ball lies in the middle for everybody


@pytest.mark.parametrize("wrong", [{"blue": 3}, {"orange": 0}, {"opponent": "strong"}])
def test_what_does_not_exist_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong)))):
        RocketSimEnv(**wrong)  # type: ignore[arg-type]


def test_the_defaults_name_real_terms_and_resets() -> None:
    from rlbot.reward import TERMS

    assert set(rlbot.env.soccar.DEFAULT_TERMS) <= set(TERMS)
    assert set(rlbot.env.soccar.DEFAULT_RESETS) <= set(RESETS)
