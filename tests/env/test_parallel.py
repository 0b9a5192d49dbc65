"""The PettingZoo environment: PettingZoo's own tests, seeds, ends of episodes, pictures."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlbot
from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.reward import Reward, Term

pettingzoo = pytest.importorskip("pettingzoo", reason="needs pettingzoo: extra pettingzoo")
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test  # noqa: E402
from pettingzoo.utils.conversions import parallel_to_aec  # noqa: E402

from rlbot.env import parallel_env  # noqa: E402

SHORT = Rules(time_limit=1.0)  # 15 steps


@pytest.mark.filterwarnings("error")
def test_pettingzoos_tests_pass_without_arguments() -> None:
    parallel_api_test(parallel_env(), num_cycles=200)
    parallel_seed_test(parallel_env, num_cycles=100)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arguments", [{"blue": 2, "orange": 1}, {"discrete": True}], ids=str)
def test_pettingzoos_tests_pass_with_other_teams_and_actions(arguments: dict[str, Any]) -> None:
    def make() -> Any:
        return parallel_env(rules=SHORT, **arguments)

    parallel_api_test(make(), num_cycles=40)
    parallel_seed_test(make, num_cycles=40)


@pytest.mark.filterwarnings("ignore:.*environment has been terminated or truncated.*")
def test_pettingzoos_conversion_to_turns_passes_its_test() -> None:
    api_test(parallel_to_aec(parallel_env(rules=SHORT)), num_cycles=40)


def test_it_plays_the_game_of_the_batch() -> None:
    """Every agent is a car of the same arena with the same seed, in the order of the slots."""
    terms = {"touch": 1.0, "speed_to_ball": 0.1}
    env = parallel_env(1, 2, terms, {"near_ball": 1.0}, SHORT)
    batch = BatchEnv(
        [(1, 2)], Reward([Term(name, weight) for name, weight in terms.items()]), {"near_ball": 1.0}, SHORT
    )
    assert env.possible_agents == ["blue_0", "orange_0", "orange_1"] and env.agents == []
    rows, _ = batch.reset(seed=3)
    observations, infos = env.reset(seed=3)
    assert env.agents == env.possible_agents and infos == {agent: {} for agent in env.agents}
    rng = np.random.default_rng(0)
    for step in range(15):
        np.testing.assert_array_equal(list(observations.values()), rows)
        controls = rng.uniform(-1, 1, (3, 8)).astype(np.float32)
        rows, rewards, *_, info = batch.step(controls)
        observations, earned, terminated, truncated, infos = env.step(dict(zip(env.agents, controls, strict=True)))
        assert list(earned.values()) == rewards.tolist()
        assert set(truncated.values()) == {step == 14} and set(terminated.values()) == {False}
    assert infos == {agent: {"ended": 3} for agent in env.possible_agents} and env.agents == []
    np.testing.assert_array_equal(list(observations.values()), list(info["final_obs"]))
    assert env.step({}) == ({}, {}, {}, {}, {})
    assert env.reset()[0].keys() == observations.keys() and env.arena.ball_pos.shape == (1, 3)
    env.close()
    env.close()


def test_a_goal_terminates_all_agents() -> None:
    env = parallel_env(reset_mix={"shot": 1.0}, terms={"goal": 1.0, "concede": -1.0}, discrete=True)
    (straight,) = np.flatnonzero((ACTION_TABLE == [1, 0, 0, 0, 0, 0, 1, 0]).all(1))
    for seed in range(30):
        env.reset(seed=seed)
        while env.agents:
            _, rewards, terminated, truncated, infos = env.step(dict.fromkeys(env.agents, straight))
        if infos["blue_0"]["ended"] < 3:
            break
    scored = infos["blue_0"]["ended"] == 1
    assert terminated == {"blue_0": True, "orange_0": True} and truncated == {"blue_0": False, "orange_0": False}
    assert rewards == {"blue_0": 1.0 if scored else -1.0, "orange_0": -1.0 if scored else 1.0}


def test_pictures() -> None:
    env = parallel_env(2, 2, render_mode="rgb_array", rules=Rules(tick_skip=4))
    env.reset(seed=0)
    first = env.render()
    for _ in range(5):
        env.step({agent: np.array([1, 0, 0, 0, 0, 0, 1, 0], np.float32) for agent in env.agents})
    second = env.render()
    assert first is not None and second is not None and first.shape == (440, 640, 3) and first.dtype == np.uint8
    assert (first != second).any() and env.metadata["render_fps"] == 30 and parallel_env().render() is None


STILL = {"blue_0": np.zeros(8), "orange_0": np.zeros(8)}


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"blue_0": np.zeros(8)}, "actions=['blue_0']: must be of the agents blue_0, orange_0"),
        ({**STILL, "blue_1": 0}, "actions=['blue_0', 'blue_1', 'orange_0']: must be of the agents blue_0, orange_0"),
        ({**STILL, "orange_0": np.full(8, np.nan)}, "action of orange_0 holds nan for throttle"),
        ({**STILL, "blue_0": np.zeros(3)}, "action of blue_0 of shape (3,): must be of shape (8,)"),
        ({**STILL, "blue_0": None}, "action of blue_0=None: must be of shape (8,)"),
    ],
)
def test_actions_that_are_none_name_the_agent(actions: dict[str, Any], message: str) -> None:
    env = parallel_env()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        env.step(actions)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blue": 0}, "blue=0: must be at least 1"),
        ({"terms": {"tuch": 1.0}}, "reward.terms.tuch: no such name; did you mean touch?"),
        ({"render_mode": "human"}, "render_mode='human': give 'rgb_array' or None"),
    ],
)
def test_what_does_not_exist_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parallel_env(**wrong)


def test_without_pettingzoo_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['pettingzoo'] = None; import rlbot.env; rlbot.env.BatchEnv; rlbot.env.parallel_env"
    root = Path(rlbot.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    wanted = "ImportError: parallel_env needs PettingZoo: pip install 'rlbot-trainer[pettingzoo]'"
    assert done.stderr.splitlines()[-1:] == [wanted]
