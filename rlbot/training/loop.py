"""The training loop: collect -> learn -> schedule -> log -> save, read from top to bottom."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rlbot.collect import Collector
from rlbot.curriculum import Pool, Stage, skill, stage_at
from rlbot.curriculum.skill import Measured
from rlbot.hardware import Group
from rlbot.learner import PPO
from rlbot.training.nan_guard import NanGuard
from rlbot.values.ramp import Ramp, value_at


@dataclass
class Progress:
    """How far a run has come. Every checkpoint holds it."""

    timesteps: int = 0
    iterations: int = 0
    episodes: int = 0
    seconds: float = 0.0  # s of training, including those before a resume
    reward: float = 0.0  # mean reward per step in the last iteration; keep_best compares it
    stage: int = -1
    stage_began: int = 0  # timesteps
    skilled: bool = False  # whether the stage has ended by skill
    measured: Measured = field(default_factory=dict)  # of the stage's skills

    @property
    def passed(self) -> int:
        """How many stages may have ended by skill."""
        return self.stage + self.skilled

    def begin_stage(self, index: int) -> None:
        self.stage, self.stage_began, self.skilled, self.measured = index, self.timesteps, False, {}


class Reporter(Protocol):
    """Receives what the loop reports; see rlbot.training.report."""

    def stage(self, index: int, stage: Stage, collector: Collector) -> None: ...
    def started(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def iteration(self, progress: Progress, metrics: dict[str, float]) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """When the run ends and saves, in timesteps, and the learner's settings at each of them."""

    total_timesteps: int
    checkpoint_interval: int
    learning_rate: float | Ramp
    anneal_learning_rate: bool
    overlap: bool = False  # whether the next rollout is collected while the learner trains on this one
    anneal_from: int = 0  # timesteps at which the learning rate begins to fall
    anneal_to: float = 0.0  # the share of the learning rate that is left at total_timesteps
    learner: Mapping[str, float | Ramp | None] = field(default_factory=dict)  # other settings of PPO that may change

    def learning_rate_at(self, timesteps: int) -> float:
        """Returns the learning rate: constant until anneal_from, then falling linearly to anneal_to * learning_rate at
        total_timesteps. Without anneal_learning_rate it is constant. If it is a ramp, only the ramp counts."""
        if isinstance(self.learning_rate, Ramp):
            return self.learning_rate.at(timesteps)
        if not self.anneal_learning_rate:
            return self.learning_rate
        left = 1.0 - max(timesteps - self.anneal_from, 0) / max(self.total_timesteps - self.anneal_from, 1)
        return self.learning_rate * (self.anneal_to + (1.0 - self.anneal_to) * max(left, 0.0))

    def learner_at(self, timesteps: int) -> dict[str, float | None]:
        """Returns the attributes of PPO for an iteration that begins at `timesteps`."""
        settings = {name: None if each is None else value_at(each, timesteps) for name, each in self.learner.items()}
        return settings | {"learning_rate": self.learning_rate_at(timesteps)}


@dataclass(frozen=True)
class Orders:
    """What the run is asked for between two iterations; the same in all ranks."""

    stop: bool = False
    pause: bool = False  # wait a moment, then ask again
    save: bool = False
    plan: tuple[Schedule, tuple[Stage, ...]] | None = None  # new ones, if settings have changed; they are saved
    ratings: tuple[tuple[int, float], ...] = ()  # that have come in: timesteps of the version, points


_PAUSE = 0.5  # s between two questions while the run is paused

# Where training starts: the progress, and the restored collector of the current stage (None: the stage starts anew).
Start = tuple[Progress, Collector | None]
Save = Callable[[Progress, Collector], None]


def open_stage(
    index: int,
    *,
    stages: tuple[Stage, ...],
    pool: Pool,
    timesteps: int,
    weights: NDArray[np.float32],
    make_collector: Callable[[int], Collector],
    started: Callable[[str], None],
    note: Callable[[str], None],
) -> Collector:
    """Returns the collector of a stage that begins or is resumed. If the stage is played against past versions and the
    pool is empty, the current policy (`weights`) is added to the pool. `started` gets a line that says what is waited
    for: RocketSim v2 takes 30 ms for an arena."""
    if stages[index].opponents.get("past") and not len(pool):
        pool.add(timesteps, weights)
        note("No earlier version yet: the opponent is a frozen copy of the current policy")
    started(f"Making the arenas of stage {index} ({stages[index].name})")
    return make_collector(index)


def train(
    *,
    ppo: PPO,
    pool: Pool,
    stages: tuple[Stage, ...],
    make_collector: Callable[[int], Collector],
    publish: Callable[[], NDArray[np.float32]],
    schedule: Schedule,
    start: Start,
    reporter: Reporter,
    save: Save,
    orders: Callable[[Progress], Orders],
    nan_guard: NanGuard,
) -> Progress:
    """Trains until schedule.total_timesteps, or until `orders`, which is asked between two iterations, says to stop.

    `publish` hands the current policy to the collectors and returns its weights. `save` is called whenever a multiple
    of checkpoint_interval was passed, when `orders` says so, and at the end. It is never called with weights that are
    not finite. After an iteration that `nan_guard` calls bad, it is called only when a good one has followed. The pool
    of past versions grows at these multiples only, so that it does not depend on where a run was stopped and resumed.
    Raises BadUpdates (see NanGuard). Returns the progress at the end.
    """
    progress, collector = start
    saved_at, good = progress.timesteps, True
    try:
        while progress.timesteps < schedule.total_timesteps:
            asked = orders(progress)
            if asked.plan is not None:
                schedule, stages = asked.plan
            for version, points in asked.ratings:
                if version > progress.stage_began and progress.stage >= 0:
                    skill.add(progress.measured, "rating", version, points)
            if collector is not None and good and (asked.plan or (asked.save and saved_at != progress.timesteps)):
                nan_guard.check_weights(ppo.model.state_dict())
                save(progress, collector)
                saved_at = progress.timesteps
            if asked.stop:
                break
            if asked.pause:
                time.sleep(_PAUSE)
            if asked.pause or asked.save or asked.plan:
                continue
            began = time.perf_counter()
            index = stage_at(stages, progress.timesteps, progress.passed)
            if collector is not None:
                collector.wait()
            weights = publish()
            if collector is None or index != progress.stage:
                if collector is not None:
                    collector.close()
                if index != progress.stage:
                    ppo.begin_stage()
                collector = open_stage(
                    index,
                    stages=stages,
                    pool=pool,
                    timesteps=progress.timesteps,
                    weights=weights,
                    make_collector=make_collector,
                    started=reporter.started,
                    note=reporter.note,
                )
                if index != progress.stage:
                    progress.begin_stage(index)
                reporter.stage(index, stages[index], collector)
                began = time.perf_counter()  # the time for starting workers does not count as training

            reward = stages[index].reward_weights(progress.timesteps, progress.stage_began)
            rollout, metrics = collector.collect(reward)
            steps = rollout.num_steps * collector.num_agents
            before, progress.timesteps = progress.timesteps, progress.timesteps + steps
            metrics |= _measure(progress, stages[index], metrics, ppo.hardware.group, reporter.note)
            if schedule.overlap and stage_at(stages, progress.timesteps, progress.passed) == index:
                # At the end the next rollout is only planned: a run that is resumed with a higher total begins with it.
                over = progress.timesteps >= schedule.total_timesteps
                next_reward = stages[index].reward_weights(progress.timesteps, progress.stage_began)
                collector.plan(next_reward) if over else collector.begin(next_reward)
            collected = time.perf_counter()
            for name, value in schedule.learner_at(before).items():
                setattr(ppo, name, value)
            metrics |= ppo.update(rollout)
            learned = time.perf_counter()

            progress.iterations += 1
            progress.episodes += int(metrics["episode/count"])
            progress.seconds += learned - began
            progress.reward = metrics["reward/step"]
            metrics |= {
                "speed/timesteps_per_second": steps / (learned - began),
                "speed/collecting_per_second": steps / (collected - began),
                "speed/collecting_share": (collected - began) / (learned - began),
                "speed/learning_share": (learned - collected) / (learned - began),
                "curriculum/stage": float(index),
                **{f"reward_weight/{name}": reward[name] for name in stages[index].ramped()},
            }
            reporter.iteration(progress, metrics)
            arena_steps = rollout.num_steps * collector.num_arenas
            good = nan_guard.is_good(progress.timesteps, arena_steps, collector.faults, ppo.fault)
            if good and progress.timesteps // schedule.checkpoint_interval > saved_at // schedule.checkpoint_interval:
                nan_guard.check_weights(ppo.model.state_dict())
                collector.wait()
                pool.add(progress.timesteps, publish())
                save(progress, collector)
                saved_at = progress.timesteps
        if collector is not None and saved_at != progress.timesteps:
            nan_guard.check_weights(ppo.model.state_dict())
            save(progress, collector)
    finally:
        if collector is not None:
            collector.close()
    return progress


def _measure(
    progress: Progress, stage: Stage, metrics: Mapping[str, float], group: Group, note: Callable[[str], None]
) -> dict[str, float]:
    """Measures the skills of the stage after a rollout. If they are reached, `progress` says so: rank 0 decides, since
    the last bits of a mean may differ from machine to machine. Returns a curve for every skill."""
    if not stage.skills:
        return {}
    skill.measure(progress.measured, stage.skills, metrics, progress.timesteps)
    found = skill.means(progress.measured, stage.skills)
    if not progress.skilled and group.first(skill.reached(found, stage.skills)):
        progress.skilled = True
        shown = ", ".join(f"{name} {found[name]:.3g}" for name in stage.skills)
        note(f"Stage {stage.name} has reached {shown} at {progress.timesteps} timesteps")
    return {f"skill/{name}": value for name, value in found.items()}
