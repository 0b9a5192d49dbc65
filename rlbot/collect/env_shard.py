"""A shard: the part of the arenas that one process plays, with policy and opponents. Does not import PyTorch."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.bots import StateBot
from rlbot.collect.acting import Forward
from rlbot.collect.rollout import Rollout
from rlbot.curriculum import Odds, Opponents, Pool
from rlbot.curriculum.opponents import largest_state
from rlbot.env.action import NonFiniteControls
from rlbot.env.batch import BROKEN, BatchEnv
from rlbot.env.nonfinite import NonFiniteCounts, merged
from rlbot.policy import AnyNetwork, Bot, Policy
from rlbot.sim import BLUE

# The learner's score by how the episode ended: 1 blue scored (the learner), 2 orange scored, 3 a limit, 5 and 6 an
# ending of the user's own. The others are not used.
SCORES = np.array([np.nan, 1.0, 0.0, 0.5, np.nan, 0.5, 0.5])


@dataclass(frozen=True)
class Matchup:
    """Who plays in a stage."""

    network: AnyNetwork  # of the policy, without its weights
    opponents: Mapping[str, float]  # shares; see Opponents
    draw: str  # how a past version is drawn; see Pool.odds
    self_play: tuple[bool, ...]  # for each of all arenas
    seed: int  # of everything that is drawn
    bots: Mapping[str, Bot | StateBot] = field(default_factory=dict)  # opponents of their own files, by name

    def learns(self, arena: int, team: int) -> bool:
        """Whether the learner plays the cars of this team of this arena, and learns from them."""
        return self.self_play[arena] or team == BLUE


@dataclass(frozen=True)
class EnvInfo:
    """What the metrics need to know about the environment."""

    seconds_per_step: float
    engine: str  # with its version


@dataclass(frozen=True)
class RolloutStats:
    """Statistics of a rollout of `num_steps`: a row for each of the learner's cars (A), and one for each episode that
    ended (E). Sums are taken only after the shards are joined, because the last bits of a sum depend on its order."""

    num_steps: int
    terms: tuple[tuple[str, bool], ...]  # of the reward: name, and whether a transform changes its value
    rewards: NDArray[np.float64]  # (A,) sums over the rollout
    counts: NDArray[np.float64]  # (A, len(COUNTS))
    earned: NDArray[np.float64]  # (A, K) weighted sum of each reward term, before the transforms
    paid: NDArray[np.float64]  # (A, K) the same after the transforms
    episodes: NDArray[np.float64]  # (E, 4) for each car: step of the rollout, the car's number, return, length in steps
    against: NDArray[np.float64]  # (E, 4): step, arena, version of the opponent, the learner's score: 1, 0.5 or 0
    playing: NDArray[np.int64]  # versions that are opponents at the end of the rollout
    faults: NonFiniteCounts  # what was not finite, in all arenas

    @classmethod
    def joined(cls, parts: Sequence["RolloutStats"]) -> "RolloutStats":
        """Joins the statistics of shards, given in order of their arenas. The result does not depend on how the arenas
        were divided into shards."""

        def rows(name: str) -> NDArray[np.float64]:
            return np.concatenate([getattr(each, name) for each in parts])

        return cls(
            parts[0].num_steps,
            parts[0].terms,
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
    """Sorts rows by their first two columns: step, then car or arena."""
    ordered: NDArray[np.float64] = events[np.lexsort((events[:, 1], events[:, 0]))]
    return ordered


class EnvShard:
    """Plays some arenas with the current weights in `vector`. Episodes continue from one rollout to the next."""

    def __init__(
        self,
        make_env: Callable[[], BatchEnv],
        matchup: Matchup,
        vector: NDArray[np.float32],
        pool: Pool,
        forward: Forward | None = None,
    ) -> None:
        """`vector` (network.size(),) and `pool` may lie in memory shared with the process that writes them. `forward`:
        see Policy."""
        self.env = env = make_env()
        self._seed = matchup.seed
        where = zip((env.first_arena + env.car_arena).tolist(), env.car_team.tolist(), strict=True)
        mine = np.array([matchup.learns(arena, team) for arena, team in where])
        self.learner_cars, self._other_cars = np.flatnonzero(mine), np.flatnonzero(~mine)
        self._numbers = env.car_number
        self._policy = Policy(matchup.network, vector, matchup.network.action_table, forward)
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
        self._step = 0  # since the stage began; random numbers are a function of seed, step and car
        self._controls = np.zeros((env.num_envs, 8), np.float32)
        self._episode_return = np.zeros(env.num_envs)
        self._episode_steps = np.zeros(env.num_envs, np.int64)
        self._state_size = largest_state(matchup.network, matchup.bots)
        self._states = np.zeros((len(self.learner_cars), matchup.network.state_size), np.float32)  # of its network
        self._obs, _ = env.reset(seed=matchup.seed)
        self._weights: Mapping[str, float] = {}  # of the reward, if they are not those of the settings
        self._settled = False  # whether the arenas have just been restored from a snapshot
        self._begun = self.snapshot()  # the state before the last rollout

    @property
    def env_info(self) -> EnvInfo:
        return EnvInfo(self.env.rules.seconds_per_step, self.env.engine)

    def collect(
        self,
        rollout: Rollout,
        odds: Odds | None = None,
        beat: Callable[[], None] = lambda: None,
        weights: Mapping[str, float] | None = None,
    ) -> RolloutStats:
        """Fills `rollout` (T, A) and returns its statistics. Versions of the pool are drawn by `odds`; None: by the
        odds of the rollout before. `beat` is called once per step. `weights`: those of the reward that differ from the
        settings'; see `Reward.weigh`."""
        if (weights or {}) != self._weights:
            self._weights = weights or {}
            self.env.weigh(self._weights)
        # RocketSim has state that cannot be saved. So arenas are restored from a snapshot before every rollout: then a
        # resumed run continues exactly like one that never stopped. Only once, because each time rounds positions.
        if not self._settled:
            self._begun = self.snapshot()
            self._obs = self.env.restore(*self._begun)
        self._settled = False
        if self.opponents is not None:
            self.opponents.begin(odds or self.opponents.odds, self._step)
        self.env.clear_statistics()
        episodes, against = [np.zeros((0, 4))], [np.zeros((0, 4))]
        earned = np.zeros(self.env.num_envs)
        mine: slice | NDArray[np.int64] = self.learner_cars if len(self._other_cars) else slice(None)  # avoids a copy
        network = self._policy.network
        for t in range(rollout.num_steps):
            inputs, masks = network.inputs(self._obs[mine], self._states), self._policy.masks(self.env, mine)
            actions, log_probs, self._controls[mine] = self._policy.sample(
                inputs, self._seed, self._step, self._numbers[mine], self._states, masks
            )
            if self.opponents is not None:
                others = self._obs[self._other_cars]
                self._controls[self._other_cars] = self.opponents.controls(
                    others, self._step, self.env, self._other_cars
                )
            self._obs, rewards, terminated, truncated, info = self._play()
            self._step += 1
            earned += rewards
            self._episode_return += rewards
            self._episode_steps += 1
            final = network.inputs(self.env.final_obs[mine], self._states) if info else None
            rollout.add(inputs, actions, log_probs, rewards[mine], terminated[mine], truncated[mine], final, masks)
            if info:
                over = terminated | truncated
                cars = self.learner_cars[over[self.learner_cars]]
                episodes.append(_table(t, self._numbers[cars], self._episode_return[cars], self._episode_steps[cars]))
                self._episode_return[over], self._episode_steps[over] = 0.0, 0
                self._states[over[mine]] = 0.0
                if self.opponents is not None:
                    ended = np.flatnonzero(self.env.ended)
                    whole = ended[self.env.ended[ended] != BROKEN]
                    versions, scores = self.opponents.played(whole), SCORES[self.env.ended[whole]]
                    against.append(_table(t, self.env.first_arena + whole, versions, scores)[versions >= 0])
                    self.opponents.redraw(ended, self._step)
            beat()
        rollout.finish(network.inputs(self._obs[mine], self._states))
        term_totals = self.env.term_totals
        playing = np.zeros(0, np.int64)
        if self.opponents is not None:
            versions = self.opponents.played(np.arange(len(self.env.arenas)))
            playing = np.unique(versions[versions >= 0])
        reward = self.env.reward
        return RolloutStats(
            rollout.num_steps,
            tuple((name, reward.is_transformed(k)) for k, name in enumerate(reward.names)),
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
        """Steps the environment. Raises ValueError that names the player if its controls are not finite."""
        try:
            return self.env.step(self._controls)
        except NonFiniteControls as error:
            raise ValueError(f"{self._player(error.row)} gave controls that are not finite: {error}") from error

    def _player(self, car: int) -> str:
        if self.opponents is None or car not in self._other_cars:
            return "the policy in training"
        kind, version = self.opponents.current[self.env.car_arena[car]]
        name = self.opponents.names[kind]
        return f"the opponent of timestep {version}" if name == "past" else f"the opponent {name}"

    def snapshot(self, before_last: bool = False) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Returns everything that decides what is collected next, as (arrays, JSON-able): now, or before the last
        rollout. Every array has a row for each arena, or for each car if its name begins with "car_". Every list has an
        entry for each arena. So shards can be joined, and divided differently."""
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
        if self._state_size:
            arrays["car_states"] = np.zeros((self.env.num_envs, self._state_size), np.float32)
            for cars, states in self._recurrent():
                arrays["car_states"][cars, : states.shape[1]] = states
        return arrays, {**document, "opponents": names, "step": self._step}

    def restore(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Continues from a `snapshot()`, which may be of a stage with other opponents. Raises ValueError if it is of
        other arenas."""
        self._obs = self.env.restore(arrays, document)
        self._settled, self._begun = True, (dict(arrays), dict(document))
        self._episode_return[:] = arrays["car_episode_return"]
        self._episode_steps[:] = arrays["car_episode_steps"]
        self._step = int(document["step"])
        saved = np.asarray(arrays.get("car_states", np.zeros((self.env.num_envs, 0), np.float32)))
        for cars, states in self._recurrent():
            width = min(states.shape[1], saved.shape[1])  # differ if other opponents were asked for
            states[:, :width], states[:, width:] = saved[cars, :width], 0.0
        if self.opponents is not None:
            self.opponents.restore(document["opponents"], np.asarray(arrays["opponent_version"]))

    def _recurrent(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The cars that a recurrent network may play, and its states."""
        others = [] if self.opponents is None else [(self._other_cars, self.opponents.states)]
        return [(self.learner_cars, self._states), *others]


def _table(step: int, *columns: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the columns as a table, with a first column that holds the step."""
    table: NDArray[np.float64] = np.stack([np.full(len(columns[0]), step), *columns], axis=1).astype(np.float64)
    return table
