"""A record of a number that is not finite and of what led to it; the trainer saves it in the run directory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NonFinite:
    """`name`: what was not finite, as text. `place`: where and when, JSON-able. `arrays`: what led to it."""

    name: str
    place: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    def save(self, path: Path) -> None:
        """Write an .npz file that numpy.load opens; "about" holds name and place as JSON. Raises OSError."""
        about = json.dumps({"name": self.name, **self.place})
        arrays: dict[str, Any] = {"about": np.array(about), **self.arrays}
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "NonFinite":
        """Read a file that `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        return cls(about.pop("name"), about, arrays)


@dataclass(frozen=True)
class NonFiniteCount:
    """How often a fault of one name occurred, and its first occurrence."""

    count: int
    first: NonFinite


NonFiniteCounts = dict[str, NonFiniteCount]  # by the name of the fault


def merged(one: NonFiniteCounts, other: NonFiniteCounts) -> NonFiniteCounts:
    """The sum of both. Of two first occurrences the one of the earlier step and arena is kept, so that the order in
    which parts of a batch are merged does not matter."""
    both = dict(one)
    for name, found in other.items():
        mine = both.get(name, NonFiniteCount(0, found.first))
        first = min(mine.first, found.first, key=_order)
        both[name] = NonFiniteCount(mine.count + found.count, first)
    return dict(sorted(both.items(), key=lambda item: _order(item[1].first)))


def _order(fault: NonFinite) -> tuple[int, int]:
    return int(fault.place["step_of_rollout"]), int(fault.place["arena"])
