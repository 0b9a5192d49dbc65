"""Find numbers that are not finite in the state of an arena, in its rewards and in its observations.

`all_finite` is one quick pass over an array. Only if it fails, the slower functions find out which numbers they are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rlbot.env.nonfinite import NonFinite
from rlbot.env.observation import OBSERVATION
from rlbot.sim import State

_SHOWN = 3  # names of fields in one message
# If one of these is not finite, messages leave out the other fields, which are computed from them.
_CAUSES = ("ball_pos", "ball_vel", "ball_ang_vel", "car_pos", "car_vel", "car_ang_vel")


_LARGEST = np.finfo(np.float32).max


@njit(cache=True)
def _count(values):  # type: ignore[no-untyped-def]
    """The number of values that are not finite. There is no early exit, so that the loop is vectorized."""
    count = 0
    for i in range(len(values)):
        count += not (abs(values[i]) <= _LARGEST)
    return count


def all_finite(values: NDArray[np.float32]) -> bool:
    """Whether a contiguous array holds neither NaN nor infinity; about 0.1 ns a number."""
    return bool(_count(values.reshape(-1)) == 0)


def in_state(state: State) -> dict[int, str]:
    """{arena: which fields of its physics are not finite}, as text."""
    fields = state.fields()
    spoilt = np.stack([~np.isfinite(each).reshape(len(state), -1).all(1) for each in fields.values()], axis=1)
    found = _where(list(fields), spoilt)
    causes = {n: [name for name in here if name in _CAUSES] or here for n, here in found.items()}
    return {n: f"the physics ({_short(here)})" for n, here in causes.items()}


def in_rewards(earned: NDArray[np.float32], labels: Sequence[str]) -> dict[int, str]:
    """{arena: which terms are not finite}, as text. `earned` is (K, N, P); `labels` names the K terms."""
    spoilt = ~np.isfinite(earned).all(2)
    return {n: ", ".join(here) for n, here in _where(labels, spoilt.T).items()}


def in_observations(
    obs: NDArray[np.float32], car_arena: NDArray[np.int64], columns: Sequence[tuple[str, int]] = OBSERVATION
) -> dict[int, str]:
    """{arena: which parts of its cars' observations are not finite}, as text. `obs` is (C, size),
    with these `columns` by name."""
    starts = np.cumsum([0, *(size for _, size in columns)])[:-1]
    spoilt = np.logical_or.reduceat(~np.isfinite(obs), starts, axis=1)
    arenas = np.unique(car_arena)
    found = _where([name for name, _ in columns], np.stack([spoilt[car_arena == n].any(0) for n in arenas]))
    return {int(arenas[i]): f"the observation ({_short(here)})" for i, here in found.items()}


def _where(names: Sequence[str], spoilt: NDArray[np.bool_]) -> dict[int, list[str]]:
    """{row: the names of the columns that are True in it}, without rows that have none."""
    rows = np.flatnonzero(spoilt.any(1)).tolist()
    return {n: [names[k] for k in np.flatnonzero(spoilt[n]).tolist()] for n in rows}


def _short(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def kept(before: State, after: State, n: int) -> dict[str, NDArray[np.float32]]:
    """The fields of arena n before and after a step, each (1, ...), named "before/NAME" and "after/NAME"."""
    both = {"before": before.fields(), "after": after.fields()}
    return {f"{when}/{name}": each[n : n + 1].copy() for when, fields in both.items() for name, each in fields.items()}


def replay(path: Path | str) -> tuple[State, State]:
    """The states (one arena each) before and after the step that a file in bad/ holds: call a reward term with them."""
    arrays: Mapping[str, Any] = NonFinite.load(Path(path)).arrays
    team_slots = arrays["before/present"].shape[1] // 2
    states = State(1, team_slots=team_slots), State(1, team_slots=team_slots)
    for when, state in zip(("before", "after"), states, strict=True):
        for name, view in state.fields().items():
            view[:] = arrays[f"{when}/{name}"]
    return states
