"""The pool of frozen past versions of the learner, which are opponents."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = ("uniform", "recent", "prioritised")  # how a version of the pool is drawn
_SCORE_WEIGHT = 0.05  # weight of a new episode in the running mean of the score against a version
_FREE, _HELD, _ACTIVE = 0, 1, 2  # the state of a row of the memory


class Pool:
    """Frozen actors of past versions. At most `size` of them may be drawn; they are spread over the whole run.

    If the pool is full, the version whose neighbours lie closest together in timesteps is removed; the first and the
    newest always stay. A removed version is held while an episode against it lasts (see `hold`), so that its opponent
    does not change. There is room for size + 1 held versions; if there are more, the oldest is dropped. The memory may
    be shared with the workers, and is written only while they do not play.
    """

    def __init__(self, size: int, actor_size: int, memory: Any = None) -> None:
        """`memory`: a writable buffer of Pool.num_bytes(size, actor_size): zeros, or that of another Pool."""
        assert size >= 2
        self.size, rows = size, 2 * size + 1
        memory = bytearray(self.num_bytes(size, actor_size)) if memory is None else memory
        self._use = np.frombuffer(memory, np.int64, rows)
        self._timesteps = np.frombuffer(memory, np.int64, rows, rows * 8)  # of the version in each row
        self._scores = np.frombuffer(memory, np.float64, rows, rows * 16)  # the learner's score against it, 0 to 1
        self.weights = np.frombuffer(memory, np.float32, rows * actor_size, rows * 24).reshape(rows, actor_size)

    @staticmethod
    def num_bytes(size: int, actor_size: int) -> int:
        return (2 * size + 1) * (24 + 4 * actor_size)

    def __len__(self) -> int:
        return int((self._use == _ACTIVE).sum())

    def versions(self) -> NDArray[np.int64]:
        """Returns the timesteps of the versions that may be drawn, oldest first."""
        return np.sort(self._timesteps[self._use == _ACTIVE])

    def has(self, versions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns which of these versions are in the pool (active or held)."""
        return np.isin(versions, self._timesteps[self._use != _FREE])

    def row(self, timesteps: int) -> int:
        """Returns the row of `weights` that holds a version. Raises KeyError if there is none."""
        rows = np.flatnonzero((self._use != _FREE) & (self._timesteps == timesteps))
        if not len(rows):
            raise KeyError(f"no version of {timesteps} timesteps in the pool")
        return int(rows[0])

    def add(self, timesteps: int, vector: NDArray[np.float32]) -> None:
        """Adds a copy of an actor's weights `vector`. A version of the same timesteps is replaced."""
        self._write(timesteps, vector, 0.5, _ACTIVE)
        if len(self) > self.size:
            ours = self.versions()
            crowded = 1 + int(np.argmin(ours[2:] - ours[:-2]))
            self._use[self.row(int(ours[crowded]))] = _HELD

    def hold(self, playing: NDArray[np.int64]) -> None:
        """Frees the removed versions, except those in `playing`, which are opponents at the moment. A version that is
        removed later is held until the next call."""
        self._use[(self._use == _HELD) & ~np.isin(self._timesteps, playing)] = _FREE

    def _write(self, timesteps: int, vector: NDArray[np.float32], score: float, use: int) -> None:
        if self.has(np.array([timesteps]))[0]:
            row = self.row(timesteps)
        else:
            free, held = np.flatnonzero(self._use == _FREE), np.flatnonzero(self._use == _HELD)
            row = int(free[0]) if len(free) else int(held[np.argmin(self._timesteps[held])])
        self.weights[row], self._timesteps[row], self._scores[row], self._use[row] = vector, timesteps, score, use

    def record(self, against: NDArray[np.float64]) -> None:
        """Updates the scores with the episodes of a rollout (E, 2): the opponent's version, and the learner's score (1:
        won, 0.5: nobody scored, 0: lost). The result does not depend on the order of the rows: each version's mean is
        used, with the total weight of its episodes."""
        for version in np.unique(against[:, 0]).astype(np.int64):
            scores = against[against[:, 0] == version, 1]
            row = self.row(int(version))
            self._scores[row] += (1.0 - (1.0 - _SCORE_WEIGHT) ** len(scores)) * (scores.mean() - self._scores[row])

    def odds(self, draw: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Returns `versions()` and the probability with which each is drawn.

        draw: "uniform"; "recent": always the newest; "prioritised": in proportion to (1 - score)^2, so that strong
        opponents are drawn more often (prioritised fictitious self-play, Vinyals et al. 2019, "Grandmaster level in
        StarCraft II", methods).
        """
        rows = np.flatnonzero(self._use == _ACTIVE)
        rows = rows[np.argsort(self._timesteps[rows])]
        weight = np.ones(len(rows))
        if draw == "recent":
            weight[:-1] = 0.0
        elif draw == "prioritised":
            weight = (1.0 - self._scores[rows]) ** 2 + 1e-3
        return self._timesteps[rows], weight / weight.sum()

    def state(self) -> dict[str, NDArray[Any]]:
        """Returns copies of everything that `load_state` needs: a row for each version, oldest first."""
        rows = np.flatnonzero(self._use != _FREE)
        rows = rows[np.argsort(self._timesteps[rows])]
        return {
            "active": (self._use[rows] == _ACTIVE).astype(np.int64),
            "timesteps": self._timesteps[rows],
            "scores": self._scores[rows],
            "weights": self.weights[rows],
        }

    def load_state(self, arrays: Mapping[str, Any]) -> None:
        """Restores a `state()`. If it is of a larger pool, versions are removed as if they were added to this one one
        by one. Raises ValueError if it is of networks of another size."""
        active, timesteps, scores, weights = (
            np.asarray(arrays[name]) for name in ("active", "timesteps", "scores", "weights")
        )
        if weights.shape[1:] != self.weights.shape[1:]:
            raise ValueError(
                f"the saved opponents have {weights.shape[-1]} weights, this run's {self.weights.shape[1]}; "
                "resume with the model of the checkpoint"
            )
        self._use[:] = _FREE
        for i in np.flatnonzero(active == 1):
            self.add(int(timesteps[i]), weights[i])
            self._scores[self.row(int(timesteps[i]))] = scores[i]
        for i in np.flatnonzero(active != 1):
            if (self._use == _FREE).any() and not self.has(timesteps[i : i + 1])[0]:
                self._write(int(timesteps[i]), weights[i], scores[i], _HELD)
