"""Who plays the cars that do not learn: nobody, chance, or frozen versions of the learner's own past."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.curriculum.stages import KINDS
from rlbot.env import ACTION_TABLE
from rlbot.policy import Network, Policy, load, random_rows, uniforms

DRAWS = ("uniform", "recent", "prioritised")  # how a version of the pool is drawn
_MEMORY = 0.05  # weight of one more episode in the running score against a version
_DRAW = 7919  # tells the stream of an arena's draws from those of its cars


class Pool:
    """Frozen actors of past versions: at most `size`, spread over the whole run.

    When full, the version whose neighbours lie closest together in timesteps goes; the first and the newest always
    stay. One row more than `size` exists: what was dropped last stays readable until the next one goes, so that an
    episode that is being played against it ends against it. The memory may be shared with the processes that play.
    """

    def __init__(self, size: int, actor_size: int, memory: Any = None) -> None:
        """`memory`: a writable buffer of Pool.num_bytes(size, actor_size), zeros or another Pool's."""
        assert size >= 2
        rows = size + 1
        memory = bytearray(self.num_bytes(size, actor_size)) if memory is None else memory
        self._active = np.frombuffer(memory, np.int64, rows)  # 1 where a row holds a version that may be drawn
        self._timesteps = np.frombuffer(memory, np.int64, rows, rows * 8)  # of what stands in each row
        self._scores = np.frombuffer(memory, np.float64, rows, rows * 16)  # of the learner against it, 0 to 1
        self.weights = np.frombuffer(memory, np.float32, rows * actor_size, rows * 24).reshape(rows, actor_size)

    @staticmethod
    def num_bytes(size: int, actor_size: int) -> int:
        return (size + 1) * (24 + 4 * actor_size)

    def __len__(self) -> int:
        return int(self._active.sum())

    def versions(self) -> NDArray[np.int64]:
        """Timesteps of the versions that may be drawn, oldest first."""
        return np.sort(self._timesteps[self._active == 1])

    def row(self, timesteps: int) -> int:
        """The row of `weights` that holds a version, or the one nearest to it in timesteps."""
        return int(np.abs(self._timesteps - timesteps).argmin())

    def add(self, timesteps: int, vector: NDArray[np.float32]) -> None:
        """Keep a copy of an actor's `vector`; a version of the same timesteps is replaced."""
        same = np.flatnonzero((self._active == 1) & (self._timesteps == timesteps))
        row = int(same[0]) if len(same) else int(np.flatnonzero(self._active == 0)[0])
        self.weights[row], self._timesteps[row], self._scores[row], self._active[row] = vector, timesteps, 0.5, 1
        if len(self) == len(self._active):
            held = self.versions()
            crowded = 1 + int(np.argmin(held[2:] - held[:-2]))
            self._active[self.row(int(held[crowded]))] = 0

    def record(self, against: NDArray[np.float64]) -> None:
        """Take in how the episodes of a rollout ended, (E, 2): the version that the learner played against, and its
        score: 1 won, 0.5 nobody scored, 0 lost. The order of the rows makes no difference: of each version their mean
        counts, with the weight that so many episodes have one after another."""
        for version in np.unique(against[:, 0]):
            scores = against[against[:, 0] == version, 1]
            row = self.row(int(version))
            self._scores[row] += (1.0 - (1.0 - _MEMORY) ** len(scores)) * (scores.mean() - self._scores[row])

    def chances(self, draw: str) -> NDArray[np.float64]:
        """With which probability each of `versions()` is drawn.

        uniform; recent: always the newest; prioritised: in proportion to (1 - score)^2, so that who is still hard comes
        often (prioritised fictitious self-play, Vinyals et al. 2019, "Grandmaster level in StarCraft II", methods).
        """
        rows = np.flatnonzero(self._active == 1)
        rows = rows[np.argsort(self._timesteps[rows])]
        weight = np.ones(len(rows))
        if draw == "recent":
            weight[:-1] = 0.0
        elif draw == "prioritised":
            weight = (1.0 - self._scores[rows]) ** 2 + 1e-3
        chances: NDArray[np.float64] = weight / weight.sum()
        return chances

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all that `load_state` needs."""
        return {
            "active": self._active.copy(),
            "timesteps": self._timesteps.copy(),
            "scores": self._scores.copy(),
            "weights": self.weights.copy(),
        }

    def load_state(self, arrays: dict[str, Any]) -> None:
        """Raises ValueError where they are of a pool of another size or of other networks."""
        weights = np.asarray(arrays["weights"])
        if weights.shape != self.weights.shape:
            raise ValueError(
                f"the saved opponents are of shape {weights.shape}, this run's of {self.weights.shape}; "
                "resume with the curriculum.pool_size and the model of the checkpoint"
            )
        self._active[:] = np.asarray(arrays["active"])
        self._timesteps[:] = np.asarray(arrays["timesteps"])
        self._scores[:] = np.asarray(arrays["scores"])
        self.weights[:] = weights


class Opponents:
    """Plays the cars of a batch that the learner does not. Each arena has an opponent of its own, drawn anew when its
    episode ends and never within one; arenas with the same opponent are run as one forward pass.

    Everything drawn is a function of the seed, the step and the arena or car, in whatever process it is played.
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        draw: str,
        car_arena: NDArray[np.int64],
        numbers: NDArray[np.int64],
        arenas: Sequence[int],
        network: Network,
        pool: Pool,
        seed: int,
    ) -> None:
        """shares: how often an arena plays against "past" (a version of the pool, which holds at least one, drawn by
        the rule `draw`), "random", "idle", or the policy at a path; "self" is not played here. car_arena, numbers (K,):
        the arena, within the batch, of each car to play, and its number in the whole run. arenas (N,): the numbers of
        the batch's arenas. Raises ValueError for a path without a policy that fits."""
        shares = {name: share for name, share in shares.items() if name != "self" and share > 0}
        assert shares and draw in DRAWS and ("past" not in shares or len(pool))
        self.names, self._draw = list(shares), draw
        self._until = np.cumsum(list(shares.values())) / sum(shares.values())
        self._car_arena, self._numbers, self._arenas = car_arena, numbers, np.array(arenas)
        self._pool, self._seed = pool, seed + 1
        self._past = [Policy(network, vector, ACTION_TABLE) for vector in pool.weights]
        self._files = {name: load(name).policy for name in shares if name not in KINDS}
        # What each arena plays against: which of `names`, and the timesteps of the version where that is "past".
        self.current = np.zeros((len(self._arenas), 2), np.int64)
        self._grouped: tuple[bytes, list[tuple[str, int, NDArray[np.int64], NDArray[np.int64]]]] = b"", []
        self.redraw(np.arange(len(self._arenas)), step=0)

    def redraw(self, arenas: NDArray[np.int64], step: int) -> None:
        """Give these arenas of the batch a new opponent."""
        chosen = np.empty((len(arenas), 2), np.float32)
        uniforms(self._seed + _DRAW, step, self._arenas[arenas], chosen)
        kinds = np.searchsorted(self._until, chosen[:, 0], side="right").clip(max=len(self.names) - 1)
        self.current[arenas] = np.stack([kinds, np.zeros_like(kinds)], axis=1)
        if "past" in self.names:
            versions, chances = self._pool.versions(), np.cumsum(self._pool.chances(self._draw))
            drawn = versions[np.searchsorted(chances, chosen[:, 1], side="right").clip(max=len(versions) - 1)]
            past = kinds == self.names.index("past")
            self.current[arenas[past], 1] = drawn[past]

    def played(self, arenas: NDArray[np.int64]) -> NDArray[np.int64]:
        """The versions that these arenas play against; -1 where they play against something else, or itself."""
        past = self.names.index("past") if "past" in self.names else -1
        kinds, versions = self.current[arenas].T
        return np.where(np.isin(arenas, self._car_arena) & (kinds == past), versions, -1)

    def controls(self, observations: NDArray[np.float32], step: int) -> NDArray[np.float32]:
        """Controls (K, 8) of the K cars, whose observations (K, 180) are given."""
        out = np.zeros((len(observations), 8), np.float32)
        past, logits = [], []
        for name, version, rows, numbers in self._groups():
            if name == "random":
                out[rows] = ACTION_TABLE[random_rows(len(ACTION_TABLE), self._seed, step, numbers)]
            elif name == "past":
                past.append(rows)
                logits.append(self._past[self._pool.row(version)].logits(observations[rows]))
            elif name != "idle":
                out[rows] = self._files[name].sample(observations[rows], self._seed, step, numbers)[2]
        if past:  # one draw for all versions: their networks differ in the weights alone
            rows = np.concatenate(past)
            out[rows] = self._past[0].choose(np.concatenate(logits), self._seed, step, self._numbers[rows])[2]
        return out

    def _groups(self) -> list[tuple[str, int, NDArray[np.int64], NDArray[np.int64]]]:
        """Who plays which of the K cars: name, version, rows and their numbers. Found anew only where it has changed,
        which an episode's end does and hardly any step."""
        known = self.current.tobytes()
        if known != self._grouped[0]:
            current = self.current[self._car_arena]
            groups = []
            for kind, version in np.unique(current, axis=0).tolist():
                rows = np.flatnonzero((current == [kind, version]).all(1))
                groups.append((self.names[kind], version, rows, self._numbers[rows]))
            self._grouped = known, groups
        return self._grouped[1]
