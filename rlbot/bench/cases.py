"""The cases of a bench: team size, arenas and workers of each comparison, and the arenas of each of its processes."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rlbot.curriculum import TEAM_SIZES, Stage, team_sizes
from rlbot.env import BatchEnv
from rlbot.settings.forms import OpponentConfig
from rlbot.settings.schema import BenchConfig, StageConfig, TrainConfig
from rlbot.training.build_env import make_env

# Shares of the arenas; mixed is the end of curriculum=three_stage_mixed.
TEAMS = {**{name: {name: 1.0} for name in TEAM_SIZES}, "mixed": {"1v1": 0.7, "1v2": 0.1, "2v2": 0.2}}


@dataclass(frozen=True)
class Case:
    """One comparison. workers=0 means one core: everything in one process with one thread. Otherwise raw, env and rlgym
    run in `workers` processes at once, and the learner's process has as many workers."""

    team_size: str  # of TEAMS
    num_envs: int
    workers: int

    def config(self, config: BenchConfig) -> TrainConfig:
        """The settings of a training run of this case. Stage 0 is self-play; stage 1, which training never reaches, is
        against past versions."""
        stages = {
            name: StageConfig(until, TEAMS[self.team_size], OpponentConfig({name: 1.0}, {}), {}, {})
            for name, until in (("self", 10**15), ("past", None))
        }
        return dataclasses.replace(
            config,
            env=dataclasses.replace(config.env, num_envs=self.num_envs, workers=self.workers),
            learner=dataclasses.replace(config.learner, overlap=config.learner.overlap if self.workers else False),
            curriculum=dataclasses.replace(config.curriculum, stages=stages),
            hardware=config.hardware if self.workers else dataclasses.replace(config.hardware, threads=1),
        )

    def arena_ranges(self, config: BenchConfig) -> "list[ArenaRange]":
        """The arenas of each process of raw, env and rlgym."""
        count = min(max(self.workers, 1), self.num_envs)
        bounds = [self.num_envs * i // count for i in range(count + 1)]
        settings = self.config(config)
        to_ball = config.bench.controls == "to_ball"
        return [ArenaRange(settings, a, b, to_ball) for a, b in pairwise(bounds)]


@dataclass(frozen=True)
class ArenaRange:
    """The arenas [start, stop) of a case, for one process."""

    config: TrainConfig
    start: int
    stop: int
    to_ball: bool = False  # whether its cars drive to the ball, instead of at random

    def env(self) -> BatchEnv:
        """The environment of these arenas. Raises ValueError if there are no collision meshes."""
        return make_env(self.config, self._stage, self.start, self.stop)

    def team_sizes(self) -> list[tuple[int, int]]:
        """(blue, orange) cars of each arena."""
        return team_sizes(self._stage, self.config.env.num_envs)[self.start : self.stop]

    @property
    def _stage(self) -> Stage:
        return Stage("bench", None, self.config.curriculum.stages["self"].teams, {"self": 1.0})


def cases(config: BenchConfig, cores: int) -> list[Case]:
    """Every team size on one core and on all `cores`; then, for the first team size, the other numbers of arenas (on
    all cores) and of workers."""
    every = config.env.workers or cores

    def wanted() -> Iterator[Case]:
        num_envs, bench = config.env.num_envs, config.bench
        for team_size in bench.teams:
            yield Case(team_size, num_envs, 0)
            yield Case(team_size, num_envs, every)
        yield from (Case(bench.teams[0], number, every) for number in bench.num_envs)
        yield from (Case(bench.teams[0], num_envs, number) for number in bench.workers)

    return list(dict.fromkeys(wanted()))
