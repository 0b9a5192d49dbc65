"""Who plays the cars that do not learn: nobody, chance, or frozen versions of the learner's own past."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Act = Callable[[Mapping[str, Tensor], Tensor], Tensor]  # (weights, observations (B, 180)) -> controls (B, 8)


class Pool:
    """Frozen weights of past versions, the newest `size` of a thinned history: bounded, oldest in the middle dropped.

    When full, the version whose neighbours lie closest together in timesteps goes, so that what stays is spread over the
    whole run. The first and the newest always stay.
    """

    def __init__(self, size: int) -> None:
        assert size >= 2
        self.size = size
        self.timesteps: list[int] = []
        self.weights: list[dict[str, Tensor]] = []

    def __len__(self) -> int:
        return len(self.timesteps)

    def add(self, timesteps: int, weights: Mapping[str, Tensor]) -> None:
        """Keep a copy of `weights`; a version of the same timesteps is replaced."""
        if timesteps in self.timesteps:
            self._drop(self.timesteps.index(timesteps))
        self.timesteps.append(timesteps)
        self.weights.append({name: tensor.detach().clone() for name, tensor in weights.items()})
        if len(self) > self.size:
            gaps = [after - before for before, after in zip(self.timesteps, self.timesteps[2:], strict=False)]
            self._drop(1 + int(np.argmin(gaps)))

    def _drop(self, index: int) -> None:
        del self.timesteps[index], self.weights[index]

    def state(self) -> tuple[dict[str, Tensor], list[int]]:
        """(tensors by "INDEX/NAME", timesteps of each index)."""
        tensors = {f"{i}/{name}": tensor for i, each in enumerate(self.weights) for name, tensor in each.items()}
        return tensors, list(self.timesteps)

    def load_state(self, tensors: Mapping[str, Tensor], timesteps: list[int], device: torch.device) -> None:
        self.timesteps = list(timesteps)
        self.weights = [{} for _ in timesteps]
        for key, tensor in tensors.items():
            index, _, name = key.partition("/")
            self.weights[int(index)][name] = tensor.to(device)


class Opponents:
    """Plays the cars of one batch that the learner does not: each arena has an opponent of its own, drawn anew when its
    episode ends and never within one. Arenas with the same opponent are run as one forward pass."""

    def __init__(
        self,
        kind: str,
        car_arena: NDArray[np.int64],
        num_arenas: int,
        action_table: NDArray[np.float32],
        pool: Pool,
        act: Act,
        seed: int,
    ) -> None:
        """`car_arena`: the arena of each car to play. kind: "past", "random" or "idle"; the pool is used by "past" only,
        and must hold a version by then."""
        assert kind in ("past", "random", "idle") and (kind != "past" or len(pool))
        self.kind, self._car_arena, self._table, self._pool, self._act = kind, car_arena, action_table, pool, act
        self._rng = np.random.default_rng([seed, 1])
        self._version = np.zeros(num_arenas, np.int64)  # timesteps of the version each arena plays
        self.redraw(np.arange(num_arenas))

    def redraw(self, arenas: NDArray[np.int64]) -> None:
        """Give these arenas a new opponent, every version of the pool equally likely."""
        if self.kind == "past":
            self._version[arenas] = self._rng.choice(np.array(self._pool.timesteps), len(arenas))

    def controls(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Controls (K, 8) of the K cars whose observations (K, 180) are given, in the order of `car_arena`."""
        out = np.zeros((len(observations), 8), np.float32)
        if self.kind == "random":
            out[:] = self._table[self._rng.integers(len(self._table), size=len(out))]
        elif self.kind == "past":
            versions = self._version[self._car_arena]
            for timesteps in np.unique(versions):
                rows = versions == timesteps
                out[rows] = self._act(self._weights(int(timesteps)), torch.from_numpy(observations[rows])).numpy()
        return out

    def _weights(self, timesteps: int) -> Mapping[str, Tensor]:
        """Of that version, or of the nearest that the pool still holds."""
        nearest = int(np.argmin(np.abs(np.array(self._pool.timesteps) - timesteps)))
        return self._pool.weights[nearest]

    def state(self) -> dict[str, Any]:
        """JSON-able; `load_state` continues from it."""
        return {"version": self._version.tolist(), "generator": self._rng.bit_generator.state}

    def load_state(self, document: Mapping[str, Any]) -> None:
        self._version[:] = document["version"]
        self._rng.bit_generator.state = document["generator"]
