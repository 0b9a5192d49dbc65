"""Reward functions of RLGym's as terms: the order of calls, and the same rewards as in RLGym itself."""

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.env.rlgym import adapted
from rlbot.reward import Reward, Term
from rlbot.sim import load_meshes
from rlbot.values.target import Target
from tests.conftest import random_controls
from tests.env.test_source import Gym, drawn, starts
from tests.launching import run_command

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
from rlgym.rocket_league.reward_functions import CombinedReward, GoalReward, TouchReward

from rlbot.env.rlgym.game import RLGymReward

OWN = "rlgym.rocket_league.reward_functions"
TO_BALL = "velocity_player_to_ball_reward.VelocityPlayerToBallReward"
SHORT = Rules(time_limit=1.0)  # 15 steps


class Diary:
    """Writes down how it is called."""

    calls: list[Any] = []  # noqa: RUF012 - shared by all objects on purpose

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        self.prev_state = initial_state
        self.calls.append(("reset", id(self), [*agents], initial_state.tick_count))

    def get_rewards(
        self, agents: Any, state: Any, is_terminated: Any, is_truncated: Any, shared_info: Any
    ) -> dict[str, float]:
        assert set(state.cars) == set(agents) == set(is_terminated) == set(is_truncated)
        assert state.tick_count == self.prev_state.tick_count + 8, "every step of an episode, and its start before it"
        shared_info["steps"] = shared_info.get("steps", 0) + 1
        self.prev_state = state
        ends = all(is_terminated.values()), all(is_truncated.values())
        self.calls.append(("step", id(self), state.tick_count, state.goal_scored, *ends))
        return {agent: i + 0.5 for i, agent in enumerate(agents)}


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_objects_of_each_arena_are_called_in_rlgyms_order(mode: str, engine: str) -> None:
    load_meshes(engine=engine)
    Diary.calls.clear()
    reward = Reward([Term("diary", 2.0, RLGymReward(Diary))])
    env = BatchEnv([(1, 1), (2, 1)], reward, {"shot": 1.0}, SHORT, autoreset_mode=mode, engine=engine)
    env.reset(seed=1)
    rng, ended = np.random.default_rng(0), []
    for _ in range(40):
        _, rewards, *_ = env.step(random_controls(rng, 5))
        kinds = np.repeat(env.ended, [2, 3])
        ended += [kind for kind in env.ended.tolist() if kind]
        given = np.array([1.0, 3.0, 1.0, 3.0, 5.0])  # weight 2 of 0.5, 1.5, ...
        assert (rewards == given).all() or (mode == "NextStep" and set(rewards) <= {0.0, *given}), kinds
    assert len({call[1] for call in Diary.calls}) == 2, "an object for each arena"
    assert {tuple(call[2]) for call in Diary.calls if call[0] == "reset"} == {
        ("blue-0", "orange-0"), ("blue-0", "blue-1", "orange-0"),
    }  # fmt: skip
    resets = [call[3] for call in Diary.calls if call[0] == "reset"]
    assert len(resets) >= len(ended) and set(resets) == {0}
    told = [call for call in Diary.calls if call[0] == "step" and (call[4] or call[5])]
    assert [(call[4], call[5]) for call in told] == [(kind < 3, kind == 3) for kind in ended] and len(told) >= 4
    assert all(call[3] == call[4] for call in Diary.calls if call[0] == "step"), "a goal is a termination"
    assert env.rlgym is not None and [info["steps"] for info in env.rlgym.shared_info] == [
        sum(call[0] == "step" and call[1] == one for call in Diary.calls)
        for one in dict.fromkeys(call[1] for call in Diary.calls)
    ]


def test_rewards_are_those_of_rlgym_on_the_same_play() -> None:
    aerial = pytest.importorskip(
        "rlgym_tools.rocket_league.reward_functions.aerial_distance_reward", reason="needs rlgym-tools: extra rlgym"
    )
    tools = aerial.__name__.rpartition(".")[0]
    made = {
        "touch": adapted(TouchReward, "touch"),
        "combined": adapted(
            functools.partial(
                CombinedReward,
                _args_=[[{"_target_": f"{OWN}.GoalReward"}, 3.0], {"_target_": f"{OWN}.TouchReward"}],
            ),
            "combined",
        ),
        "aerial": adapted(aerial.AerialDistanceReward, "aerial"),
        "demo": adapted(Target(f"{tools}.demo_reward.DemoReward", {}).load("demo"), "demo"),
        "flip_reset": adapted(Target(f"{tools}.flip_reset_reward.FlipResetReward", {}).load("flip"), "flip"),
        "boost": adapted(Target(f"{tools}.boost_change_reward.BoostChangeReward", {"gain_weight": 2.0}).load("b"), "b"),
        "to_ball": adapted(
            Target(f"{tools}.velocity_player_to_ball_reward.VelocityPlayerToBallReward", {}).load("v"), "v"
        ),
    }
    load_meshes(engine="rocketsim2")
    rules = Rules(no_touch_limit=6.0)
    reward = Reward([Term(name, 1.0, function) for name, function in made.items()])
    mix = {"kickoff": 0.1, "near_ball": 0.5, "airborne": 0.2, "anywhere": 0.2}
    env, gym = BatchEnv([(2, 2)], reward, mix, rules, engine="rocketsim2"), Gym((2, 2), 0)
    placements = starts(4, env.team_sizes[0])
    theirs = [
        CombinedReward((GoalReward(), 3.0), TouchReward()) if name == "combined" else each._make()
        for name, each in made.items()
    ]
    agents, earned = gym.engine.agents, np.zeros((len(made), 4))

    def start() -> None:
        gym.start(next(placements))
        state = gym.engine._get_state()
        for each in theirs:
            each.reset(agents, state, {})

    env.reset(seed=4)
    start()
    rng = np.random.default_rng(1)
    for step in range(400):
        controls = drawn(rng, 4)
        controls[:, 5] = rng.random(4) < 0.2
        env.clear_statistics()
        _, _, terminated, truncated, info = env.step(controls)
        gym.step(controls, 8)
        ends = [dict.fromkeys(agents, bool(flag[0])) for flag in (terminated, truncated)]
        wanted = [list(each.get_rewards(agents, gym.engine.state, *ends, {}).values()) for each in theirs]
        np.testing.assert_allclose(env.term_totals.before.T, wanted, rtol=1e-5, atol=1e-6, err_msg=f"step {step}")
        earned += np.abs(wanted)
        if info or env.state.car_is_demoed.any():
            if not info:
                env._start(0)
            start()
    assert (earned.sum(1)[[0, 1, 5, 6]] > 0).all(), dict(zip(made, earned.sum(1), strict=True))


def test_a_reward_that_fails_is_named() -> None:
    class Broken(Diary):
        def get_rewards(self, *arguments: Any) -> dict[str, float]:
            raise RuntimeError("no such thing")

    class Silent(Diary):
        def get_rewards(self, *arguments: Any) -> dict[str, float]:
            return {}

    for broken, message in (
        (Broken, "reward.terms.mine fails: RuntimeError: no such thing"),
        (Silent, "reward.terms.mine fails: KeyError: 'blue-0'"),
    ):
        env = BatchEnv([(1, 1)], Reward([Term("mine", 1.0, RLGymReward(broken))]), {"kickoff": 1.0})
        env.reset(seed=0)
        with pytest.raises(ValueError, match=re.escape(message)):
            env.step(np.zeros((2, 8)))
    with pytest.raises(ValueError, match=r"reward.terms.mine fails: TypeError"):
        BatchEnv(
            [(1, 1)], Reward([Term("mine", 1.0, RLGymReward(Diary.get_rewards, "reward.terms.mine"))]), {"kickoff": 1}
        )
    reward = Reward([Term("mine", 1.0, RLGymReward(Diary))])
    BatchEnv([(1, 1)], reward, {"kickoff": 1.0})
    with pytest.raises(ValueError, match="belongs to another batch of arenas"):
        BatchEnv([(1, 1)], reward, {"kickoff": 1.0})


def test_a_restored_batch_begins_the_episodes_anew_for_them() -> None:
    env = BatchEnv([(1, 1)], Reward([Term("diary", 1.0, RLGymReward(Diary))]), {"kickoff": 1.0})
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.zeros((2, 8)))
    kept = env.snapshot()
    Diary.calls.clear()
    env.restore(*kept)
    env.rlgym.begin(env.state, env.steps)  # type: ignore[union-attr] - as the next step does
    assert [call[0] for call in Diary.calls] == ["reset"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_trains_on_them_and_says_what_they_cost(tmp_path: Path, workers: int) -> None:
    arguments = [f"+reward.terms.touched={{_target_: {OWN}.TouchReward, weight: 5}}", "reward=touch"]
    quick = [f"env.workers={workers}", "hardware.threads=1", "rating.enabled=false", "total_timesteps=600"]
    status, out, err = run_command(tmp_path, "rlbot.train", "experiment=debug", *arguments, *quick)
    assert status == 0, err
    assert re.search(r"\[OK\] RLGym parts: \d+ us a step and car; no process makes more than [\d,]+ timesteps/s", out)
