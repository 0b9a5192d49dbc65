"""Bare RocketSim v2 as the reference, bare v3, and BatchEnv with the same controls.

Raw uses arenas with RocketSim's default settings. Timed, in plain loops: `car.set_controls` with a prepared CarControls
for each car, and `arena.step(tick_skip)`. Not timed: recording and drawing the controls, resetting arenas. Raw and
env start from the same placements, use the same controls and reset the same arenas after the same steps, so the physics
has the same work; they start again at the end of the controls. The resets of env within them are part of its time.
Each engine resets where its own episodes end.
Raw3 is RocketSim v3 through the extension: one call steps all arenas and reads their states.
"""

from collections.abc import Iterable
from time import perf_counter
from typing import Any

import numpy as np
import RocketSim  # only the bench bypasses rlbot.sim, to measure what it adds

from rlbot.bench.cases import ArenaRange
from rlbot.bench.controls import STEPS, record
from rlbot.env import ACTION_TABLE, reset
from rlbot.sim import load_meshes, make_arenas
from rlbot.sim.rocketsim2.arenas import car_state


class Raw:
    """Arenas of bare RocketSim v2 that play recorded controls."""

    def __init__(self, arenas: ArenaRange) -> None:
        env = arenas.env()
        load_meshes(arenas.config.env.collision_meshes, "rocketsim2")
        recorded = record(env, arenas.config.seed, arenas.to_ball)
        self._restarts = recorded.restarts
        self._seeds = [[arenas.config.seed, n] for n in range(arenas.start, arenas.stop)]
        self._mix, self._sizes, self._ticks = env.reset_mix, env.team_sizes, env.rules.tick_skip
        self._num_cars = env.num_envs
        self._arenas = [RocketSim.Arena(RocketSim.GameMode.SOCCAR) for _ in self._sizes]
        self._cars = [
            [arena.add_car(team, RocketSim.CarConfig.OCTANE) for team, size in enumerate(sizes) for _ in range(size)]
            for arena, sizes in zip(self._arenas, self._sizes, strict=True)
        ]
        table = [_controls(row) for row in ACTION_TABLE.tolist()]
        cars_of = [np.flatnonzero(env.car_arena == n) for n in range(len(self._sizes))]
        self._script = [[[table[row] for row in rows[cars]] for cars in cars_of] for rows in recorded.rows]
        self._at = STEPS

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Step for `seconds`; returns agent steps, and the seconds they took."""
        steps, timed, end = 0, 0.0, perf_counter() + seconds
        while not steps or perf_counter() < end:
            if self._at == STEPS:
                self._rewind()
            began = perf_counter()
            for arena, cars, chosen in zip(self._arenas, self._cars, self._script[self._at], strict=True):
                for car, controls in zip(cars, chosen, strict=True):
                    car.set_controls(controls)
                arena.step(self._ticks)
            timed += perf_counter() - began
            for n in self._restarts[self._at]:
                self._restart(n)
            self._at += 1
            steps += self._num_cars
        return steps, timed

    def _rewind(self) -> None:
        # A BatchEnv seeds the generator of arena n in the same way.
        self._rngs = [np.random.default_rng(seed) for seed in self._seeds]
        for n in range(len(self._arenas)):
            self._restart(n)
        self._at = 0

    def _restart(self, n: int) -> None:
        start = reset.draw(self._rngs[n], self._mix, self._sizes[n])
        ball = RocketSim.BallState(
            pos=RocketSim.Vec(*start.ball_pos),
            vel=RocketSim.Vec(*start.ball_vel),
            ang_vel=RocketSim.Vec(*start.ball_ang_vel),
        )
        self._arenas[n].ball.set_state(ball)
        for car, placement in zip(self._cars[n], start.cars, strict=True):
            car.set_state(car_state(placement))
        for pad in self._arenas[n].get_boost_pads():
            pad.set_state(RocketSim.BoostPadState())


class Raw3:
    """Some arenas of bare RocketSim v3, playing the same."""

    def __init__(self, arenas: ArenaRange) -> None:
        env = arenas.env()
        load_meshes(arenas.config.env.collision_meshes, "rocketsim3")
        recorded = record(env, arenas.config.seed, arenas.to_ball)
        self._restarts, self._controls = recorded.restarts, ACTION_TABLE[recorded.rows]
        self._seeds = [[arenas.config.seed, n] for n in range(arenas.start, arenas.stop)]
        self._mix, self._arenas = env.reset_mix, make_arenas(env.team_sizes, env.rules.tick_skip, engine="rocketsim3")
        self._state, self._after = self._arenas.state(), self._arenas.state()
        self._at = STEPS

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Step for `seconds`; returns agent steps, and the seconds they took."""
        steps, timed, end = 0, 0.0, perf_counter() + seconds
        while not steps or perf_counter() < end:
            if self._at == STEPS:
                self._rngs = [np.random.default_rng(seed) for seed in self._seeds]
                self._restart(range(len(self._arenas)))
                self._at = 0
            began = perf_counter()
            self._arenas.step(self._controls[self._at], self._state, self._after)
            timed += perf_counter() - began
            self._state, self._after = self._after, self._state
            self._restart(self._restarts[self._at])
            self._at += 1
            steps += self._arenas.num_cars
        return steps, timed

    def _restart(self, which: Iterable[int]) -> None:
        for n in which:
            self._arenas.place(n, reset.draw(self._rngs[n], self._mix, self._arenas.team_sizes[n]), self._state)


class Env:
    """The same arenas as a BatchEnv that plays the controls of Raw."""

    def __init__(self, arenas: ArenaRange) -> None:
        self._env, self._seed = arenas.env(), arenas.config.seed
        self._controls = ACTION_TABLE[record(self._env, self._seed, arenas.to_ball).rows]
        self._at = STEPS

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Step for `seconds`; returns agent steps, and the seconds they took."""
        steps, timed, end = 0, 0.0, perf_counter() + seconds
        while not steps or perf_counter() < end:
            if self._at == STEPS:
                self._env.reset(seed=self._seed)
                self._at = 0
            began = perf_counter()
            self._env.step(self._controls[self._at])
            timed += perf_counter() - began
            self._at += 1
            steps += self._env.num_envs
        return steps, timed


def _controls(row: list[float]) -> Any:
    return RocketSim.CarControls(*row[:5], jump=row[5] > 0, boost=row[6] > 0, handbrake=row[7] > 0)
