"""Environments of other projects, set up for the same game.

RLGym v2 as its users run it: RLGym with RocketSimEngine, DefaultObs, LookupTableAction within RepeatAction, a sum of
the six reward terms that its guides use, goal, time limit and no-touch limit, and the same mix of resets. There is one
environment for each arena, stepped in a loop; its resets are part of the measured time.
"""

import os
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from rlgym.api import RewardFunction, RLGym, StateMutator
from rlgym.rocket_league.action_parsers import LookupTableAction, RepeatAction
from rlgym.rocket_league.common_values import BALL_MAX_SPEED, CAR_MAX_SPEED
from rlgym.rocket_league.done_conditions import (
    AnyCondition,
    GoalCondition,
    NoTouchTimeoutCondition,
    TimeoutCondition,
)
from rlgym.rocket_league.obs_builders import DefaultObs
from rlgym.rocket_league.reward_functions import CombinedReward, GoalReward, TouchReward
from rlgym.rocket_league.sim import RocketSimEngine
from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, MutatorSequence

from rlbot.bench.cases import ArenaRange
from rlbot.bench.controls import STEPS, random_rows
from rlbot.env import reset
from rlbot.settings.schema import EnvConfig
from rlbot.sim import load_meshes

_GOAL = np.array([0.0, 5120.0, 321.0], np.float32)


class RLGymPeer:
    """RLGym environments that play recorded controls."""

    def __init__(self, arenas: ArenaRange) -> None:
        load_meshes(arenas.config.env.collision_meshes, "rocketsim2")
        sizes = arenas.team_sizes()
        settings, seed = arenas.config.env, arenas.config.seed
        self._envs = [make_rlgym(settings, each, seed, arenas.start + n) for n, each in enumerate(sizes)]
        cars = [sum(each) for each in sizes]
        self._num_cars, self._at = sum(cars), 0
        rows = random_rows(seed, arenas.start, self._num_cars)[..., None]
        self._rows = [np.split(row, np.cumsum(cars)[:-1]) for row in rows]  # (cars of the arena, 1) for each arena
        for env in self._envs:
            env.reset()

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Step for `seconds`; returns agent steps and the seconds they took."""
        steps, timed, end = 0, 0.0, perf_counter() + seconds
        while not steps or perf_counter() < end:
            rows = self._rows[self._at % STEPS]
            began = perf_counter()
            for env, chosen in zip(self._envs, rows, strict=True):
                actions = dict(zip(env.agents, chosen, strict=True))
                _, _, terminated, truncated = env.step(actions)
                if any(terminated.values()) or any(truncated.values()):
                    env.reset()
            timed += perf_counter() - began
            self._at += 1
            steps += self._num_cars
        return steps, timed


def make_rlgym(config: EnvConfig, sizes: tuple[int, int], seed: int, n: int) -> Any:
    """The environment of arena n."""
    limits = []
    if config.no_touch_limit is not None:
        limits.append(NoTouchTimeoutCondition(config.no_touch_limit))
    if config.time_limit is not None:
        limits.append(TimeoutCondition(config.time_limit))
    return RLGym(
        state_mutator=MutatorSequence(FixedTeamSizeMutator(*sizes), _Mix(config, sizes, [seed, n])),
        obs_builder=DefaultObs(zero_padding=max(2, *sizes)),
        action_parser=RepeatAction(LookupTableAction(), repeats=config.tick_skip),
        reward_fn=CombinedReward(
            (GoalReward(), 10.0), (TouchReward(), 1.0), (_EachCar(_speed_to_ball), 0.05),
            (_EachCar(_face_ball), 0.01), (_EachCar(_ball_to_goal), 0.1), (_EachCar(_in_air), 0.005),
        ),
        transition_engine=RocketSimEngine(),
        termination_cond=GoalCondition(),
        truncation_cond=AnyCondition(*limits) if limits else None,
    )  # fmt: skip


def only_rlgym(config: EnvConfig, sizes: tuple[int, int], seed: int) -> Any:
    """The environment of a worker process of rlgym-learn, which seeds `random`. It is in this module because the rest
    of the setup imports PyTorch."""
    if hasattr(os, "SCHED_BATCH"):
        # rlgym-learn 2.0.0 wakes a process and then discards all answers so far. If the woken process takes over the
        # core at once, its answer is lost and comes again only after 5 s. A process of class SCHED_BATCH does not.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    load_meshes(config.collision_meshes, "rocketsim2")
    return make_rlgym(config, sizes, seed, random.randrange(2**31))


class _Mix(StateMutator):  # type: ignore[misc]
    """Resets by the mix of env.reset."""

    def __init__(self, config: EnvConfig, sizes: tuple[int, int], seed: list[int]) -> None:
        self._rng = np.random.default_rng(seed)
        self._mix = {name: kind.share for name, kind in config.reset.items()}  # all built in: the checks see to that
        self._sizes = sizes

    def apply(self, state: Any, shared_info: dict[str, Any]) -> None:
        start = reset.draw(self._rng, self._mix, self._sizes)
        _place(state.ball, start.ball_pos, start.ball_vel, start.ball_ang_vel)
        for car, placement in zip(state.cars.values(), start.cars, strict=True):
            _place(car.physics, placement.pos, placement.vel, placement.ang_vel)
            angles = (placement.pitch, placement.yaw, placement.roll)
            car.physics.euler_angles = np.array(angles, np.float32)
            car.on_ground = placement.pos[2] < 18
            car.boost_amount = placement.boost


def _place(physics: Any, *vectors: tuple[float, float, float]) -> None:
    physics.position, physics.linear_velocity, physics.angular_velocity = (
        np.array(vector, np.float32) for vector in vectors
    )


class _EachCar(RewardFunction):  # type: ignore[misc]
    """A reward that depends on one car and the current state."""

    def __init__(self, function: Callable[[Any, Any], float]) -> None:
        self._function = function

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        """There is no state to reset."""

    def get_rewards(
        self, agents: Any, state: Any, is_terminated: Any, is_truncated: Any, shared_info: Any
    ) -> dict[Any, float]:
        return {agent: self._function(state.cars[agent], state) for agent in agents}


def _speed_to_ball(car: Any, state: Any) -> float:
    offset = state.ball.position - car.physics.position
    speed = np.dot(car.physics.linear_velocity, offset) / max(np.linalg.norm(offset), 1e-6)
    return max(float(speed / CAR_MAX_SPEED), 0.0)


def _face_ball(car: Any, state: Any) -> float:
    offset = state.ball.position - car.physics.position
    return float(np.dot(car.physics.forward, offset) / max(np.linalg.norm(offset), 1e-6))


def _ball_to_goal(car: Any, state: Any) -> float:
    ball = state.inverted_ball if car.is_orange else state.ball
    offset = _GOAL - ball.position
    return float(np.dot(ball.linear_velocity, offset) / np.linalg.norm(offset) / BALL_MAX_SPEED)


def _in_air(car: Any, state: Any) -> float:
    return 0.0 if car.on_ground else 1.0
