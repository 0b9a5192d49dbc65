"""Plays the cars that do not learn: idle, at random, by frozen past versions of the learner, or by other bots."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.bots import StateBot, asked
from rlbot.curriculum.pool import Pool
from rlbot.curriculum.stages import KINDS
from rlbot.env import ACTION_TABLE, BatchEnv
from rlbot.policy import AnyNetwork, Bot, Policy, random_rows, uniforms

_DRAW = 7919  # added to the seed, so that an arena draws other random numbers than its cars

Floats = NDArray[np.float32]
Odds = tuple[NDArray[np.int64], NDArray[np.float64]]  # Pool.odds: versions, and the probability of each


class Opponents:
    """Plays the cars of a batch that the learner does not play. Each arena has its own opponent, which is drawn anew
    when its episode ends. Arenas with the same opponent share one forward pass.

    All draws are functions of the seed, the step, the arena or car, and the pool's `odds`. They do not depend on the
    process that plays the arena.
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        odds: Odds,
        car_arena: NDArray[np.int64],
        numbers: NDArray[np.int64],
        arenas: Sequence[int],
        network: AnyNetwork,
        pool: Pool,
        bots: Mapping[str, Bot | StateBot],
        seed: int,
    ) -> None:
        """shares: how often an arena plays against "past" (a version of the pool, drawn by `odds`; the pool must not be
        empty), "random", "idle", or one of `bots` by its name; "self" is ignored. car_arena (K,): the arena, within the
        batch, of each car to play. numbers (K,): the cars' numbers in the whole run. arenas (N,): the numbers of the
        batch's arenas in the whole run."""
        shares = {name: share for name, share in shares.items() if name != "self" and share > 0}
        assert shares and all(name in KINDS or name in bots for name in shares)
        assert "past" not in shares or len(pool)
        self.names = list(shares)
        self._until = np.cumsum(list(shares.values())) / sum(shares.values())
        self._car_arena, self._numbers, self._arenas = car_arena, numbers, np.array(arenas)
        self._ours = np.isin(np.arange(len(self._arenas)), car_arena)  # arenas with a car to play
        self._pool, self._bots, self._seed = pool, bots, seed + 1
        # Of the recurrent network that plays a car, in the first columns: zeros where its opponent has just been drawn.
        self.states = np.zeros((len(numbers), largest_state(network, bots)), np.float32)
        self._past = [Policy(network, vector, network.action_table) for vector in pool.weights]
        # The opponent of each arena: index in `names`, and the timesteps of the version if that is "past".
        self.current = np.zeros((len(self._arenas), 2), np.int64)
        self._grouped: tuple[bytes, list[tuple[str, int, NDArray[np.int64], NDArray[np.int64]]]] = b"", []
        self.odds = odds
        self.redraw(np.arange(len(self._arenas)), step=0)

    def redraw(self, arenas: NDArray[np.int64], step: int) -> None:
        """Draws a new opponent for each of these arenas of the batch; it remembers nothing."""
        chosen = np.empty((len(arenas), 2), np.float32)
        uniforms(self._seed + _DRAW, step, self._arenas[arenas], chosen)
        kinds = np.searchsorted(self._until, chosen[:, 0], side="right").clip(max=len(self.names) - 1)
        self.current[arenas] = np.stack([kinds, np.zeros_like(kinds)], axis=1)
        if "past" in self.names:
            versions, chances = self.odds[0], np.cumsum(self.odds[1])
            drawn = versions[np.searchsorted(chances, chosen[:, 1], side="right").clip(max=len(versions) - 1)]
            past = kinds == self.names.index("past")
            self.current[arenas[past], 1] = drawn[past]
        if self.states.size:
            self.states[np.isin(self._car_arena, arenas)] = 0.0

    def begin(self, odds: Odds, step: int) -> None:
        """Begins a rollout in which versions are drawn by `odds`. Arenas whose opponent is gone draw a new one. What
        players remember is forgotten, so that a resumed run goes on like one that never stopped."""
        self.odds = odds
        for bot in self._bots.values():
            if isinstance(bot, StateBot):
                bot.reset()
        kinds, versions = self.current.T
        gone = (kinds < 0) | (self._is_past(kinds) & ~self._pool.has(versions))
        self.redraw(np.flatnonzero(gone), step)

    def played(self, arenas: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the version that each of these arenas plays against; -1 if its opponent is not a past version."""
        kinds, versions = self.current[arenas].T
        return np.where(self._ours[arenas] & self._is_past(kinds), versions, -1)

    def snapshot(self) -> tuple[list[str], NDArray[np.int64]]:
        """Returns the name of each arena's opponent, and its version (0 if it is not "past")."""
        names = [
            self.names[kind] if mine else "self" for kind, mine in zip(self.current[:, 0], self._ours, strict=True)
        ]
        return names, np.where(self._ours, self.current[:, 1], 0)

    def restore(self, names: Sequence[str], versions: NDArray[np.int64]) -> None:
        """Restores the opponents of a `snapshot()`. It may be of another stage: `begin` replaces unknown opponents."""
        known = {name: kind for kind, name in enumerate(self.names)}
        self.current[:, 0] = [known.get(name, -1) for name in names]
        self.current[:, 1] = versions

    def _is_past(self, kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(kinds == (self.names.index("past") if "past" in self.names else len(self.names)))

    def controls(self, observations: Floats, step: int, env: BatchEnv | None = None, cars: Any = None) -> Floats:
        """Returns the controls (K, 8) of the K cars for their observations (K, size). A StateBot, and a bot that was
        trained with another observation, look at `env` and its rows `cars` (K,)."""
        out = np.zeros((len(observations), 8), np.float32)
        past, logits = [], []
        for name, version, rows, numbers in self._groups():
            if name == "random":
                out[rows] = ACTION_TABLE[random_rows(len(ACTION_TABLE), self._seed, step, numbers)]
            elif name == "past":
                past.append(rows)
                policy = self._past[self._pool.row(version)]
                logits.append(self._logits(policy, observations[rows], rows, env, cars))
            elif name != "idle":
                bot = self._bots[name]
                if isinstance(bot, StateBot):
                    assert env is not None
                    out[rows] = bot.act(env.state, asked(env, cars[rows], numbers, self._seed, step))
                else:
                    seen = observations[rows] if env is None else bot.view(env, cars[rows], observations[rows])
                    drawn = self._logits(bot.policy, seen, rows, env, cars)
                    out[rows] = bot.policy.choose(drawn, self._seed, step, numbers)[2]
        if past:  # one draw for all versions: their networks differ in the weights alone
            rows = np.concatenate(past)
            out[rows] = self._past[0].choose(np.concatenate(logits), self._seed, step, self._numbers[rows])[2]
        return out

    def _logits(
        self, policy: Policy, observations: Floats, rows: NDArray[np.int64], env: BatchEnv | None, cars: Any
    ) -> Floats:
        """Logits of a policy for the observations of these rows of the K cars, which are the rows `cars` of `env`."""
        size = policy.network.state_size
        states = self.states[rows, :size]
        masks = None if env is None else policy.masks(env, cars[rows])
        logits = policy.logits(policy.network.inputs(observations, states), states, masks)
        self.states[rows, :size] = states
        return logits

    def _groups(self) -> list[tuple[str, int, NDArray[np.int64], NDArray[np.int64]]]:
        """Groups the K cars by opponent: name, version, rows, and the cars' numbers. The result is cached, because
        opponents change only when an episode ends."""
        known = self.current.tobytes()
        if known != self._grouped[0]:
            current = self.current[self._car_arena]
            groups = []
            for kind, version in np.unique(current, axis=0).tolist():
                rows = np.flatnonzero((current == [kind, version]).all(1))
                groups.append((self.names[kind], version, rows, self._numbers[rows]))
            self._grouped = known, groups
        return self._grouped[1]


def largest_state(network: AnyNetwork, bots: Mapping[str, Bot | StateBot]) -> int:
    """The size of the largest state of the recurrent networks among these; 0 if there are none."""
    networks = [network, *(bot.network for bot in bots.values() if isinstance(bot, Bot))]
    return max(each.state_size for each in networks)
