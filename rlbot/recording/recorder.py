"""Builds a recording while a match is played."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE
from rlbot.recording.events import find_events
from rlbot.recording.recording import DECISION_FIELDS, FORMAT, VERSION, Recording
from rlbot.sim import State

TICK_RATE = 120
TEAM_NAMES = ("blue", "orange")
_VERSIONS = ("rlbot-trainer", "rocketsim", "numpy")


@dataclass(frozen=True)
class Decision:
    """What K cars chose in a frame, one row for each car.

    `controls` (K, 8) are always known. The others are None if they are not: `value` (K,), `action` (K,), a row of the
    action table, `action_probability` (K,), `top_actions` and `top_probabilities` (K, 10)."""

    controls: NDArray[np.float32]
    value: NDArray[np.float32] | None = None
    action: NDArray[np.int64] | None = None
    action_probability: NDArray[np.float32] | None = None
    top_actions: NDArray[np.int64] | None = None
    top_probabilities: NDArray[np.float32] | None = None


class Recorder:
    """Collects the frames of one match: `add(state, decisions)` before each step, `add(state)` after the last step.

    If an episode ends, `add` its last state, without decisions, before the first state of the next episode."""

    def __init__(
        self,
        slots: Sequence[int],
        names: Sequence[str],
        ticks_per_step: int = 8,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """`slots`: those that have a car; `names`: the name of each car. `details`: more entries of the header, values
        that JSON can hold."""
        self._ticks_per_step, self._details = ticks_per_step, dict(details or {})
        self._names = list(zip(slots, names, strict=True))
        self._frames: list[State] = []
        self._ticks: list[int] = []
        self._decisions: list[dict[str, NDArray[Any]]] = []
        self._now = 0

    def __len__(self) -> int:
        return len(self._ticks)

    def add(
        self,
        state: State,
        decisions: Sequence[tuple[Sequence[int], Decision]] = (),
        arena: int = 0,
        ticks: int | None = None,
    ) -> None:
        """Adds a frame: the current state of `arena`, and the decisions of the cars in the given slots.

        Decisions are held for `ticks` physics ticks (None: `ticks_per_step`); then the next frame follows. Without
        decisions the next frame has the same tick."""
        frame = state.of(1)
        frame.arena_rows[0], frame.car_rows[0] = state.arena_rows[arena], state.car_rows[arena]
        self._frames.append(frame)
        self._ticks.append(self._now)
        self._decisions.append(_by_slot(decisions, state.cars.shape[1]))
        if decisions:
            self._now += self._ticks_per_step if ticks is None else ticks

    def finish(self) -> Recording:
        """Returns the recording of all frames. Raises ValueError if there are none."""
        if not self._frames:
            raise ValueError("a recording needs at least one frame")
        states = self._frames[0].of(len(self._frames))
        for t, frame in enumerate(self._frames):
            states.arena_rows[t], states.car_rows[t] = frame.arena_rows[0], frame.car_rows[0]
        ticks = np.array(self._ticks, np.int32)
        for score in (states.blue_score, states.orange_score):
            score -= score[0].copy()
        decisions = {name: np.stack([each[name] for each in self._decisions]) for name in DECISION_FIELDS}
        header = {
            "format": FORMAT,
            "version": VERSION,
            "tick_rate": TICK_RATE,
            "ticks_per_step": self._ticks_per_step,
            "team_slots": states.team_slots,
            "cars": [
                {"slot": slot, "team": TEAM_NAMES[slot // states.team_slots], "name": name}
                for slot, name in self._names
            ],
            "action_table": ACTION_TABLE.tolist(),
            "score": [int(states.blue_score[-1]), int(states.orange_score[-1])],
            "versions": {name: _version(name) for name in _VERSIONS},
            **self._details,
            "events": [event._asdict() for event in find_events(states, ticks)],
        }
        return Recording(header, ticks, states, decisions)


def _by_slot(decisions: Sequence[tuple[Sequence[int], Decision]], num_slots: int) -> dict[str, NDArray[Any]]:
    rows = {
        name: np.full((num_slots, *shape), nothing, kind) for name, (kind, shape, nothing) in DECISION_FIELDS.items()
    }
    for slots, decision in decisions:
        for name in DECISION_FIELDS:
            if (value := getattr(decision, name)) is not None:
                rows[name][list(slots)] = value
    return rows


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
