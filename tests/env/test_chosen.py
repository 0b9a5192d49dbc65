"""The environments for other libraries with another observation and other actions: the same as a batch has, and the
checkers of each library."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rlbot.env
from rlbot.env import BatchEnv, RocketSimEnv, RocketSimVectorEnv, Rules
from rlbot.env.observations import Observation
from rlbot.reward import Reward, Term
from rlbot.values.target import Target
from tests.launching import ROOT

SHORT = Rules(time_limit=1.0)  # 15 steps
TERMS = {"touch": 1.0}
CODE = """
def see(state, cars, scale=1000.0):
    return {"way": (state.ball_pos[cars.arena] - cars.of(state.car_pos)) / scale, "last": cars.controls}

def act(boosts=2):
    return [(1, steer, 0, 0, 0, 0, boost, 0) for steer in (-1, 0, 1) for boost in range(boosts)]
"""
TABLE = np.array([(1, steer, 0, 0, 0, 0, 0, 0) for steer in (-1, 0, 1)], np.float32)


@pytest.fixture(params=["name", "target", "rlgym"])
def choices(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], int, int]:
    """Arguments, the size of the observation, and the number of actions."""
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    if request.param == "name":
        return {"observation": "relative", "actions": TABLE}, 110, 3
    if request.param == "target":
        see = {"_target_": "mine.py:see", "scale": 2300.0}
        return {"observation": see, "actions": Target("mine.py:act", {"boosts": 2})}, 11, 6
    if find_spec("rlgym") is None:
        pytest.skip("RLGym is in the extra rlgym, for Python 3.10 and 3.11")
    lookup = {"_target_": "rlgym.rocket_league.action_parsers.LookupTableAction"}
    builder = Target("rlgym.rocket_league.obs_builders.DefaultObs", {"zero_padding": None})
    return {"observation": builder, "actions": lookup}, 92, 90


@pytest.mark.filterwarnings("ignore:.*Box observation space.*:UserWarning")
def test_gymnasiums_checker_passes(choices: tuple[dict[str, Any], int, int]) -> None:
    arguments, size, count = choices
    env = gymnasium.make("rlbot:RocketSim-v0", opponent="random", rules=SHORT, **arguments)
    assert env.observation_space.shape == (size,) and env.action_space == gymnasium.spaces.Discrete(count)
    check_env(env.unwrapped, skip_render_check=True)


def test_single_and_vector_environments_play_the_game_of_a_batch(choices: tuple[dict[str, Any], int, int]) -> None:
    arguments, size, count = choices
    asked = []

    def opponent(observations: Any) -> Any:
        asked.append(observations.shape)
        return np.zeros((len(observations), 8))

    given: dict[str, Any] = {"terms": TERMS, "reset_mix": {"near_ball": 1.0}, "rules": SHORT, **arguments}
    envs = gymnasium.make_vec("rlbot:RocketSim-v0", num_envs=2, opponent=opponent, **given)
    alone = RocketSimEnv(**given)
    target = Observation("relative") if size == 110 else envs.unwrapped._batch.observation  # type: ignore[attr-defined]
    batch = BatchEnv([(1, 1)] * 2, Reward([Term("touch", 1.0)]), {"near_ball": 1.0}, SHORT, observation=target)
    assert envs.observation_space.shape == (2, size) and (envs.action_space.nvec == count).all()  # type: ignore[attr-defined]
    rows, _ = batch.reset(seed=5)
    np.testing.assert_array_equal(envs.reset(seed=5)[0], rows[::2])
    np.testing.assert_array_equal(alone.reset(seed=5)[0], rows[0])
    rng, table = np.random.default_rng(0), envs.unwrapped._take.keywords["table"]  # type: ignore[attr-defined]
    for step in range(15):
        chosen = rng.integers(count, size=2)
        controls = np.zeros((4, 8), np.float32)
        controls[::2] = table[chosen]
        rows, rewards, *_, info = batch.step(controls)
        mine, earned, *_ = envs.step(chosen)
        one, *_ = alone.step(chosen[0])
        np.testing.assert_array_equal(mine, rows[::2])
        np.testing.assert_array_equal(earned, rewards[::2])
        np.testing.assert_array_equal(one, info["final_obs"][0] if step == 14 else rows[0])
    assert asked == [(2, size)] * 15
    with pytest.raises(ValueError, match=f"must be whole numbers from 0 to {count - 1}, rows of the action table"):
        envs.step(np.array([0, count]))


def test_pettingzoos_tests_pass(choices: tuple[dict[str, Any], int, int]) -> None:
    test = pytest.importorskip("pettingzoo.test", reason="needs pettingzoo: extra pettingzoo")
    arguments, size, count = choices
    make: Callable[[], Any] = lambda: rlbot.env.parallel_env(1, 1, rules=SHORT, **arguments)  # noqa: E731
    env = make()
    assert env.observation_space("orange_0").shape == (size,) and env.action_space("blue_0").n == count
    test.parallel_api_test(env, num_cycles=40)
    test.parallel_seed_test(make, num_cycles=40)
    envs = gymnasium.make_vec("rlbot:RocketSim-v0", num_envs=1, opponent="idle", rules=SHORT, **arguments)
    observations, _ = env.reset(seed=3)
    np.testing.assert_array_equal(observations["blue_0"], envs.reset(seed=3)[0][0])


def test_stable_baselines3_checks_and_trains(choices: tuple[dict[str, Any], int, int]) -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: extra dev")
    from stable_baselines3.common.env_checker import check_env as check

    arguments, size, count = choices
    check(RocketSimEnv(rules=SHORT, **arguments), warn=True)
    game = RocketSimVectorEnv(3, rules=SHORT, **arguments)
    batch = BatchEnv([(1, 1)] * 2, Reward([Term("touch", 1.0)]), {"near_ball": 1.0}, SHORT,
        observation=game._batch.observation,
    )  # fmt: skip
    for envs in (rlbot.env.SB3VecEnv(game), rlbot.env.SB3VecEnv(batch, actions=arguments["actions"])):
        assert envs.observation_space.shape == (size,) and envs.action_space.n == count
        model = sb3.PPO("MlpPolicy", envs, n_steps=16, batch_size=16, n_epochs=1, device="cpu")
        assert model.learn(48).num_timesteps >= 48


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"observation": "wide"},
            "observation='wide': must be one of default, relative, small, six_cars, a Target, or {",
        ),
        ({"observation": None}, "observation=None: must be one of default"),
        ({"observation": {"name": "small"}}, "observation._target_=null: must be module.function"),
        ({"observation": {"_target_": "gone.py:see"}}, "env.observation._target_=gone.py:see: cannot be imported"),
        ({"observation": {"_target_": "math.sqrt"}}, "env.observation (math.sqrt) fails: TypeError"),
        ({"actions": "lookup"}, "actions returns str; it must be an array of controls (K, 8)"),
        ({"actions": np.zeros((5, 7))}, "actions is of shape (5, 7); it must be (K, 8)"),
        ({"actions": 2 * TABLE}, "actions: row 0 has throttle=2; must be in [-1, 1]"),
        ({"actions": {"_target_": "math.sqrt", "x": 1}}, "env.actions (math.sqrt) fails: TypeError"),
    ],
)
def test_what_is_no_choice_is_told_in_a_line(arguments: dict[str, Any], message: str) -> None:
    for make in (RocketSimEnv, RocketSimVectorEnv):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            make(**arguments)
        assert "\n" not in str(caught.value)


def test_without_rlgym_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    def build_obs(self):\n        pass\n", encoding="utf-8")
    make = "from rlbot.env import RocketSimEnv; RocketSimEnv(observation={'_target_': 'mine.py:Mine'})"
    code = f"import sys; sys.modules['rlgym'] = None; {make}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    wanted = "ValueError: env.observation: RLGym's parts need RLGym: pip install 'rlbot-trainer[rlgym]'"
    assert done.stderr.splitlines()[-1:] == [wanted]
