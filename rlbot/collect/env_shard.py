"""A part of the batch played in one process: arenas, the policy, the opponents. No PyTorch, no pickling in the step."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.collect.rollout import Rollout
from rlbot.curriculum import Odds, Opponents, Pool
from rlbot.env import ACTION_TABLE
from rlbot.env.action import NonFiniteControls
from rlbot.env.batch import BROKEN, BatchEnv
from rlbot.env.nonfinite import NonFiniteCounts, merged
from rlbot.policy import Bot, Network, Policy

# Of the learner, who plays blue, by how the episode ended: 1, 2 or 3; a broken one has none.
SCORES = np.array([np.nan, 1.0, 0.0, 0.5])


@dataclass(frozen=True)
class Matchup:
    """Who plays in a stage: the shape of the policy, against whom (shares, and the rule by which a past version is
    drawn: see Opponents and Pool.odds), which of all arenas are self-play, the seed of all that is drawn, and the
    opponents that are neither the learner nor of one of its kinds, by name."""

    network: Network
    opponents: Mapping[str, float]
    draw: str
    self_play: tuple[bool, ...]
    seed: int
    bots: Mapping[str, Bot] = field(default_factory=dict)

    def learns(self, arena: int, slot: int) -> bool:
        """Whether the learner plays, and learns from, the car in this slot of this arena."""
        return self.self_play[arena] or slot < 2


@dataclass(frozen=True)
class EnvInfo:
    """What the metrics need to know of the game that is played."""

    seconds_per_step: float
    terms: tuple[tuple[str, bool], ...]  # of the reward: name, and whether a transform changes what it pays


@dataclass(frozen=True)
class RolloutStats:
    """What was played in a rollout of `num_steps`: a row for each of the learner's cars (A), and one for each episode
    that ended (E). Nothing is summed before the shards are joined: the last bits of a sum depend on its order."""

    num_steps: int
    rewards: NDArray[np.float64]  # (A,)
    counts: NDArray[np.float64]  # (A, len(COUNTS))
    earned: NDArray[np.float64]  # (A, K) by each term, weighted, before the transforms
    paid: NDArray[np.float64]  # (A, K) after them
    episodes: NDArray[np.float64]  # (E, 4) of each car: step of the rollout, the car's number, return, length in steps
    against: NDArray[np.float64]  # (E, 4): step, arena, version played against, the learner's score: 1, 0.5 or 0
    playing: NDArray[np.int64]  # versions that are being played against at the end
    faults: NonFiniteCounts  # what was not finite, in all arenas

    @classmethod
    def joined(cls, parts: Sequence["RolloutStats"]) -> "RolloutStats":
        """Shards in order of their arenas as one: the same, in the same order, however the arenas were shared out."""

        def rows(name: str) -> NDArray[np.float64]:
            return np.concatenate([getattr(each, name) for each in parts])

        return cls(
            parts[0].num_steps,
            rows("rewards"),
            rows("counts"),
            rows("earned"),
            rows("paid"),
            _in_order(rows("episodes")),
            _in_order(rows("against")),
            np.unique(np.concatenate([each.playing for each in parts])),
            functools.reduce(merged, (each.faults for each in parts), {}),
        )


def _in_order(events: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows by their first two columns: step, then car or arena."""
    ordered: NDArray[np.float64] = events[np.lexsort((events[:, 1], events[:, 0]))]
    return ordered


class EnvShard:
    """Plays some arenas with the weights that stand in `vector` at the time. Episodes go on across rollouts."""

    def __init__(
        self, make_env: Callable[[], BatchEnv], matchup: Matchup, vector: NDArray[np.float32], pool: Pool
    ) -> None:
        """`vector` (network.size(),) and `pool` may lie in memory shared with the process that writes them."""
        self.env = env = make_env()
        self._seed = matchup.seed
        where = zip((env.first_arena + env.car_arena).tolist(), env.car_slot.tolist(), strict=True)
        mine = np.array([matchup.learns(arena, slot) for arena, slot in where])
        self.learner_cars, self._other_cars = np.flatnonzero(mine), np.flatnonzero(~mine)
        # A car's number is the same whichever shard plays it: what it draws must not depend on the number of
        # processes.
        self._numbers = (env.first_arena + env.car_arena) * 4 + env.car_slot
        self._policy = Policy(matchup.network, vector, ACTION_TABLE)
        self.opponents = None
        if len(self._other_cars):
            self.opponents = Opponents(
                matchup.opponents,
                pool.odds(matchup.draw),
                env.car_arena[~mine],
                self._numbers[~mine],
                range(env.first_arena, env.first_arena + len(env.arenas)),
                matchup.network,
                pool,
                matchup.bots,
                matchup.seed,
            )
        self._step = 0  # since the stage began: with the seed and the car it decides what is drawn
        self._controls = np.zeros((env.num_envs, 8), np.float32)
        self._episode_return = np.zeros(env.num_envs)
        self._episode_steps = np.zeros(env.num_envs, np.int64)
        self._obs, _ = env.reset(seed=matchup.seed)
        self._settled = False  # the arenas stand as a snapshot left them
        self._begun = self.snapshot()  # where the last rollout began

    @property
    def env_info(self) -> EnvInfo:
        reward = self.env.reward
        terms = tuple((name, reward.is_transformed(k)) for k, name in enumerate(reward.names))
        return EnvInfo(self.env.rules.seconds_per_step, terms)

    def collect(
        self, rollout: Rollout, odds: Odds | None = None, beat: Callable[[], None] = lambda: None
    ) -> RolloutStats:
        """Fill `rollout` (T, A) from where the last one stopped. Versions of the pool are drawn by `odds`, as before
        where it is None. `beat` is called once a step."""
        # RocketSim keeps state that cannot be saved: settling before every rollout is what makes a resumed run go on
        # exactly like one that was never stopped. Once, though: each time rounds positions anew.
        if not self._settled:
            self._begun = self.snapshot()
            self._obs = self.env.restore(*self._begun)
        self._settled = False
        if self.opponents is not None:
            self.opponents.begin(odds or self.opponents.odds, self._step)
        self.env.clear_statistics()
        episodes, against = [np.zeros((0, 4))], [np.zeros((0, 4))]
        earned = np.zeros(self.env.num_envs)
        mine: slice | NDArray[np.int64] = self.learner_cars if len(self._other_cars) else slice(None)  # without a copy
        for t in range(rollout.num_steps):
            obs = self._obs[mine]
            actions, log_probs, self._controls[mine] = self._policy.sample(
                obs, self._seed, self._step, self._numbers[mine]
            )
            if self.opponents is not None:
                others = self._obs[self._other_cars]
                self._controls[self._other_cars] = self.opponents.controls(others, self._step)
            self._obs, rewards, terminated, truncated, info = self._play()
            self._step += 1
            earned += rewards
            self._episode_return += rewards
            self._episode_steps += 1
            final_obs = self.env.final_obs[mine] if info else None
            rollout.add(obs, actions, log_probs, rewards[mine], terminated[mine], truncated[mine], final_obs)
            if info:
                over = terminated | truncated
                cars = self.learner_cars[over[self.learner_cars]]
                episodes.append(_table(t, self._numbers[cars], self._episode_return[cars], self._episode_steps[cars]))
                self._episode_return[over], self._episode_steps[over] = 0.0, 0
                if self.opponents is not None:
                    ended = np.flatnonzero(self.env.ended)
                    whole = ended[self.env.ended[ended] != BROKEN]
                    versions, scores = self.opponents.played(whole), SCORES[self.env.ended[whole]]
                    against.append(_table(t, self.env.first_arena + whole, versions, scores)[versions >= 0])
                    self.opponents.redraw(ended, self._step)
            beat()
        rollout.finish(self._obs[mine])
        term_totals = self.env.term_totals
        playing = np.zeros(0, np.int64)
        if self.opponents is not None:
            versions = self.opponents.played(np.arange(len(self.env.arenas)))
            playing = np.unique(versions[versions >= 0])
        return RolloutStats(
            rollout.num_steps,
            earned[mine],
            self.env.counts[mine].copy(),
            term_totals.before[mine].copy(),
            term_totals.after[mine].copy(),
            np.concatenate(episodes),
            np.concatenate(against),
            playing,
            self.env.faults,
        )

    def _play(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """A step of the environment. Raises ValueError, which names the player, for controls that are not finite."""
        try:
            return self.env.step(self._controls)
        except NonFiniteControls as error:
            raise ValueError(f"{self._player(error.row)} gave controls that are not finite: {error}") from error

    def _player(self, car: int) -> str:
        if self.opponents is None or car not in self._other_cars:
            return "the policy that is trained"
        kind, version = self.opponents.current[self.env.car_arena[car]]
        name = self.opponents.names[kind]
        return f"the opponent of timestep {version}" if name == "past" else f"the opponent {name}"

    def snapshot(self, before_last: bool = False) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """All that decides what is collected next, as (arrays, JSON-able): now, or as it was before the last rollout.
        Every array has a row for each arena, or for each car where its name begins with "car_", and every list has an
        entry for each arena, so that shards can be put together and cut anew."""
        if before_last:
            return self._begun
        arrays, document = self.env.snapshot()
        num_arenas = len(self.env.arenas)
        names, versions = ["self"] * num_arenas, np.zeros(num_arenas, np.int64)
        if self.opponents is not None:
            names, versions = self.opponents.snapshot()
        arrays |= {
            "car_episode_return": self._episode_return.copy(),
            "car_episode_steps": self._episode_steps.copy(),
            "opponent_version": versions,
        }
        return arrays, {**document, "opponents": names, "step": self._step}

    def restore(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Continue from a `snapshot()`, which may be of a stage with other opponents. Raises ValueError where it is of
        other arenas."""
        self._obs = self.env.restore(arrays, document)
        self._settled, self._begun = True, (dict(arrays), dict(document))
        self._episode_return[:] = arrays["car_episode_return"]
        self._episode_steps[:] = arrays["car_episode_steps"]
        self._step = int(document["step"])
        if self.opponents is not None:
            self.opponents.restore(document["opponents"], np.asarray(arrays["opponent_version"]))


def _table(step: int, *columns: NDArray[Any]) -> NDArray[np.float64]:
    """A row for each entry of the columns, which begins with the step."""
    table: NDArray[np.float64] = np.stack([np.full(len(columns[0]), step), *columns], axis=1).astype(np.float64)
    return table
