"""Who plays the cars that do not learn: nobody, chance, or frozen versions of the learner's own past."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE
from rlbot.policy import Network, Policy, uniforms

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
        self.weights = np.frombuffer(memory, np.float32, rows * actor_size, rows * 16).reshape(rows, actor_size)

    @staticmethod
    def num_bytes(size: int, actor_size: int) -> int:
        return (size + 1) * (16 + 4 * actor_size)

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
        self.weights[row], self._timesteps[row], self._active[row] = vector, timesteps, 1
        if len(self) == len(self._active):
            held = self.versions()
            crowded = 1 + int(np.argmin(held[2:] - held[:-2]))
            self._active[self.row(int(held[crowded]))] = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all that `load_state` needs."""
        return {
            "active": self._active.copy(),
            "timesteps": self._timesteps.copy(),
            "weights": self.weights.copy(),
        }

    def load_state(self, arrays: dict[str, Any]) -> None:
        """Raises ValueError where they are of a pool of another size or of other networks."""
        weights = np.asarray(arrays["weights"])
        if weights.shape != self.weights.shape:
            raise ValueError(
                f"the saved opponents are of shape {weights.shape}, this run's of {self.weights.shape}; "
                "resume with the model settings of the checkpoint"
            )
        self._active[:] = np.asarray(arrays["active"])
        self._timesteps[:] = np.asarray(arrays["timesteps"])
        self.weights[:] = weights


class Opponents:
    """Plays the cars of a batch that the learner does not. Each arena has an opponent of its own, drawn anew when its
    episode ends and never within one; arenas with the same opponent are run as one forward pass.

    Everything drawn is a function of the seed, the step and the arena or car, in whatever process it is played.
    """

    def __init__(
        self,
        kind: str,
        car_arena: NDArray[np.int64],
        numbers: NDArray[np.int64],
        arenas: Sequence[int],
        network: Network,
        pool: Pool,
        seed: int,
    ) -> None:
        """car_arena, numbers (K,): the arena, within the batch, of each car to play, and its number in the whole run.
        arenas (N,): the numbers of the batch's arenas. kind: "past" (versions of the pool, which holds at least one),
        "random" or "idle"."""
        assert kind in ("past", "random", "idle") and (kind != "past" or len(pool))
        self.kind, self._car_arena, self._numbers, self._arenas = kind, car_arena, numbers, np.array(arenas)
        self._pool, self._seed = pool, seed + 1
        self._players = [Policy(network, vector, ACTION_TABLE) for vector in pool.weights]
        self.version = np.zeros(len(self._arenas), np.int64)  # timesteps of what each arena plays against
        self.redraw(np.arange(len(self._arenas)), step=0)

    def redraw(self, arenas: NDArray[np.int64], step: int) -> None:
        """Give these arenas of the batch a new opponent, every version of the pool equally likely."""
        if self.kind == "past":
            versions = self._pool.versions()
            chosen = np.empty((len(arenas), 1), np.float32)
            uniforms(self._seed + _DRAW, step, self._arenas[arenas], chosen)
            self.version[arenas] = versions[(chosen[:, 0] * len(versions)).astype(np.int64)]

    def controls(self, observations: NDArray[np.float32], step: int) -> NDArray[np.float32]:
        """Controls (K, 8) of the K cars, whose observations (K, 180) are given."""
        out = np.zeros((len(observations), 8), np.float32)
        if self.kind == "random":
            chosen = np.empty((len(out), 1), np.float32)
            uniforms(self._seed, step, self._numbers, chosen)
            out[:] = ACTION_TABLE[(chosen[:, 0] * len(ACTION_TABLE)).astype(np.int64)]
        elif self.kind == "past":
            versions = self.version[self._car_arena]
            for timesteps in np.unique(versions):
                rows = versions == timesteps
                player = self._players[self._pool.row(int(timesteps))]
                out[rows] = player.sample(observations[rows], self._seed, step, self._numbers[rows])[2]
        return out
