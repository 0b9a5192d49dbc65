"""This project's game behind RLGym's interface: as RLGym itself, and as the environments of this project."""

import re
from typing import Any

import numpy as np
import pytest

from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.reward import Reward, Term

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
from rlgym.api import RLGym
from rlgym.rocket_league.action_parsers import LookupTableAction, RepeatAction
from rlgym.rocket_league.done_conditions import TimeoutCondition
from rlgym.rocket_league.obs_builders import DefaultObs
from rlgym.rocket_league.reward_functions import TouchReward
from rlgym.rocket_league.sim import RocketSimEngine
from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, KickoffMutator, MutatorSequence

from rlbot.env import RLGymEnv

SHORT = Rules(time_limit=1.0)  # 15 steps


def rlgym() -> Any:
    return RLGym(
        state_mutator=MutatorSequence(FixedTeamSizeMutator(1, 2), KickoffMutator()),
        obs_builder=DefaultObs(zero_padding=2),
        action_parser=RepeatAction(LookupTableAction(), 8),
        reward_fn=TouchReward(),
        transition_engine=RocketSimEngine(),
        truncation_cond=TimeoutCondition(1.0),
    )


def played(env: Any) -> list[Any]:
    """An episode as RLGym's trainers play it, and everything that they look at."""
    observations, seen = env.reset(), []
    seen.append(
        (env.agents, env.observation_spaces, env.action_spaces, {a: np.shape(o) for a, o in observations.items()})
    )
    while True:
        actions = {agent: np.array([7]) for agent in env.agents}
        observations, rewards, terminated, truncated = env.step(actions)
        state = env.state
        seen.append(
            (
                {agent: np.shape(row) for agent, row in observations.items()}, list(rewards), terminated, truncated,
                state.tick_count, state.goal_scored, list(state.cars), [car.team_num for car in state.cars.values()],
            )
        )  # fmt: skip
        if all(terminated.values()) or all(truncated.values()):
            env.close()
            return seen


def test_it_is_played_as_rlgym_is_with_its_observations_and_actions() -> None:
    ours = RLGymEnv(
        1, 2, rules=SHORT, obs_builder=DefaultObs(zero_padding=2), action_parser=RepeatAction(LookupTableAction(), 8)
    )
    mine, theirs = played(ours), played(rlgym())
    assert len(mine) == 16 and mine == theirs
    ours.close()


def test_without_them_it_is_the_game_of_the_batch() -> None:
    terms = {"touch": 1.0, "speed_to_ball": 0.1}
    env = RLGymEnv(1, 2, terms, {"near_ball": 1.0}, SHORT)
    reward = Reward([Term(name, weight) for name, weight in terms.items()])
    batch = BatchEnv([(1, 2)], reward, {"near_ball": 1.0}, SHORT)
    assert env.observation_spaces == dict.fromkeys(env.agents, ("real", 180))
    assert env.action_spaces == dict.fromkeys(["blue-0", "orange-0", "orange-1"], ("discrete", 90))
    rows, _ = batch.reset(seed=3)
    observations, rng = env.reset(seed=3), np.random.default_rng(0)
    for step in range(15):
        np.testing.assert_array_equal(list(observations.values()), rows)
        np.testing.assert_array_equal(env.state.ball.position, batch.state.ball_pos[0])
        choices = rng.integers(90, size=3)
        rows, earned, *_, info = batch.step(ACTION_TABLE[choices])
        given = [choices[0], choices[1:2], np.array(choices[2])]  # as trainers give them: a number or an array of one
        observations, rewards, terminated, truncated = env.step(dict(zip(env.agents, given, strict=True)))
        assert list(rewards.values()) == earned.tolist() and set(terminated.values()) == {False}
        assert set(truncated.values()) == {step == 14}
    np.testing.assert_array_equal(list(observations.values()), list(info["final_obs"]))
    assert env.state.tick_count == 120 and env.reset().keys() == observations.keys() and env.state.tick_count == 0


class Turning:
    """Controls that change within a step."""

    def reset(self, *arguments: Any) -> None:
        pass

    def parse_actions(self, actions: Any, state: Any, shared_info: Any) -> Any:
        return {agent: np.linspace(0, 1, 64).reshape(8, 8) for agent in actions}


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"blue-0": 1}, "actions=['blue-0']: must be of blue-0, orange-0, after a reset"),
        ({"blue-0": 1, "orange-0": 90}, "action of orange-0=array(90): must be whole numbers from 0 to 89"),
        ({"blue-0": np.zeros(8), "orange-0": 0}, "action of blue-0 of shape (8,): must be of shape ()"),
    ],
)
def test_actions_that_are_none_name_the_agent(actions: Any, message: str) -> None:
    env = RLGymEnv()
    with pytest.raises(ValueError, match="after a reset"):
        env.step({"blue-0": 0, "orange-0": 0})
    env.reset(seed=0)
    with pytest.raises(ValueError, match=re.escape(message)):
        env.step(actions)
    turning = RLGymEnv(action_parser=Turning())
    turning.reset()
    with pytest.raises(ValueError, match=re.escape("controls of blue-0: must be the same for all 8 ticks of a step")):
        turning.step({"blue-0": 0, "orange-0": 0})
