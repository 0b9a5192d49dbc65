"""Done conditions of RLGym's as endings: when they end an episode, and what rewards are told of it."""

import functools
import re
from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.env.own_ending import TERMINATED, TRUNCATED, OwnEnding
from rlbot.env.purity import check_purity
from rlbot.env.rlgym import adapted
from rlbot.reward import Reward, Term
from rlbot.values.target import PartError, Target

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
from rlgym.rocket_league.done_conditions import AnyCondition, GoalCondition, TimeoutCondition

from rlbot.env.rlgym.game import RLGymReward

NO_LIMITS = Rules(time_limit=None, no_touch_limit=None)
TIMEOUT = "rlgym.rocket_league.done_conditions.TimeoutCondition"


def batch(*functions: Any, items: Any = (), **arguments: Any) -> BatchEnv:
    endings = [OwnEnding(adapted(function, "env.ending.mine"), "env.ending.mine") for function in functions]
    return BatchEnv([(1, 1), (2, 1)], Reward(items), {"kickoff": 1.0}, NO_LIMITS, endings=endings, **arguments)


def ends(env: BatchEnv, steps: int) -> list[Any]:
    """How the episode of each arena ended in each step."""
    env.reset(seed=0)
    found = []
    for _ in range(steps):
        *_, terminated, truncated, _ = env.step(np.zeros((5, 8)))
        assert terminated.tolist() == [kind == TERMINATED for kind in env.ended[env.car_arena]]
        assert truncated.tolist() == [kind == TRUNCATED for kind in env.ended[env.car_arena]]
        found.append(env.ended.tolist())
    return found


@pytest.mark.parametrize("truncates", [False, True])
def test_a_timeout_ends_episodes_after_its_seconds_every_time(truncates: bool) -> None:
    target = Target(TIMEOUT, {"timeout_seconds": 0.5, **({"truncates": True} if truncates else {})})
    env = batch(target.load("env.ending.mine"))
    kind = TRUNCATED if truncates else TERMINATED  # in the step that reaches 60 ticks, the eighth
    assert ends(env, 24) == [[kind, kind] if step % 8 == 7 else [0, 0] for step in range(24)]
    check_purity(env)  # takes no offence at what RLGym's keep


class FirstTouches:
    """Done for one car alone: the first orange one, after `steps` steps of the arena."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        self.left = self.steps * len(agents)

    def is_done(self, agents: Any, state: Any, shared_info: Any) -> dict[str, bool]:
        self.left -= len(agents)
        shared_info["left"] = self.left
        return {agent: agent == "orange-0" and self.left == 0 for agent in agents}


class Told:
    told: list[Any] = []  # noqa: RUF012 - shared on purpose

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        pass

    def get_rewards(self, agents: Any, state: Any, terminated: Any, truncated: Any, shared_info: Any) -> Any:
        self.told.append((shared_info["left"], all(terminated.values()), all(truncated.values())))
        return dict.fromkeys(agents, 0.0)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_one_car_ends_the_episode_of_all_and_rewards_are_told(mode: str) -> None:
    Told.told.clear()
    ending = functools.partial(FirstTouches, steps=3)
    env = batch(ending, items=[Term("told", 1.0, RLGymReward(Told))], autoreset_mode=mode)
    found = ends(env, 8)
    period = 3 if mode == "SameStep" else 4  # the fourth step only resets
    assert found == [[TERMINATED] * 2 if step % period == 2 else [0, 0] for step in range(8)]
    told = [(left == 0, *ended) for left, *ended in Told.told]
    assert all(at_end == terminated and not truncated for at_end, terminated, truncated in told)
    assert len(told) == 2 * sum(step % 4 < 3 for step in range(8)) if mode == "NextStep" else len(told) == 16


def test_conditions_of_rlgym_within_one_another() -> None:
    arguments = {"_args_": [{"_target_": TIMEOUT, "timeout_seconds": 0.2}, {"_target_": TIMEOUT, "timeout_seconds": 9}]}
    env = batch(functools.partial(AnyCondition, **arguments), GoalCondition)
    assert [kinds[0] for kinds in ends(env, 6)] == [0, 0, TERMINATED, 0, 0, TERMINATED]


def test_a_condition_that_fails_is_named() -> None:
    class Silent(FirstTouches):
        def is_done(self, *arguments: Any) -> dict[str, bool]:
            return {}

    env = batch(functools.partial(Silent, 1))
    env.reset(seed=0)
    with pytest.raises(PartError, match=re.escape("env.ending.mine fails: KeyError: 'blue-0'")):
        env.step(np.zeros((5, 8)))
    with pytest.raises(PartError, match=re.escape("env.ending.mine fails: TypeError")):
        batch(TimeoutCondition)
