"""Checks that a user's reward terms and endings depend on the two states alone, and resets on their generator: calls
them twice, and all but the resets with half of the arenas."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rlbot.env.batch import BatchEnv
from rlbot.env.own_ending import Clocks, OwnEnding
from rlbot.env.own_reset import OwnReset
from rlbot.sim import State

STEPS = 8  # played for the check; the states after each of them are put into one batch


def check_purity(env: BatchEnv) -> None:
    """Plays a few steps in `env` and calls the user's own reward terms and endings several times. `env` needs a reset
    afterwards.

    Raises ValueError, which names the part, in two cases. A part that keeps state gives another result if it is called
    again with the same states: a resumed run would not continue exactly. And it must look at each arena by itself:
    which arenas share a batch depends on the number of workers.
    """
    _check_observation(env)
    endings = [ending for ending in env.endings if not hasattr(ending.function, "attach")]  # RLGym's keep state
    if not (env.reward.own_terms() or endings):
        return
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    befores, afters, clocks = [], [], []
    for _ in range(STEPS):
        befores.append(env.state.copy())
        clocks.append(np.array(env.clocks))
        env.step(rng.uniform(-1, 1, (env.num_envs, 8)).astype(np.float32))
        afters.append(env.state.copy())
    before, after, clock = _joined(befores), _joined(afters), np.concatenate(clocks, axis=1)
    half = len(after) // 2
    for label, part in [*env.reward.own_terms(), *((ending.label, _ends(ending, clock)) for ending in endings)]:
        first = part(before, after)
        again = part(before, after)
        fewer = part(_rows(before, half), _rows(after, half))
        if not _alike(first, again):
            raise ValueError(
                f"{label}: gives another result when it is called again with the same states;\n"
                "it must not keep anything from call to call: a resumed run could not go on where it was"
            )
        if not _alike(first[:half], fewer):
            raise ValueError(
                f"{label}: what it gives an arena depends on the arenas beside it;\n"
                "it must look at each arena by itself: with another number of workers the others are not there"
            )


def _check_observation(env: BatchEnv) -> None:
    """The same for the user's own observation: what a car sees must not depend on the other rows."""
    if env.observation.target is None:
        return
    env.reset(seed=0)
    every = np.arange(env.num_envs)
    first, again = (env.observed(env.observation, every) for _ in range(2))
    some = every[env.num_envs // 2 :]
    fewer = env.observed(env.observation, some)
    if not _alike(first, again):
        raise ValueError(
            f"{env.observation.label}: gives another result when it is called again with the same state;\n"
            "it must not keep anything from call to call: a resumed run could not go on where it was"
        )
    if not _alike(first[some], fewer):
        raise ValueError(
            f"{env.observation.label}: what it gives a car depends on the cars that observe beside it;\n"
            "it must look at each row by itself: with another number of workers the others are not there"
        )


def _ends(ending: OwnEnding, clock: NDArray[np.float64]) -> Callable[[State, State], NDArray[np.float32]]:
    """The ending as a function of two states: (N, 2), terminated and truncated."""

    def ends(before: State, after: State) -> NDArray[np.float32]:
        episode, untouched = clock[:, : len(after)].copy()
        return np.stack(ending.find(before, after, Clocks(episode, untouched)), axis=1).astype(np.float32)

    return ends


def check_resets(env: BatchEnv) -> None:
    """Call the user's own resets of `env` several times for each of its arenas. Raises ValueError, which names the
    reset, if one fails, or gives another start for a generator in the same state: a resumed run would not go on
    exactly."""
    for kind in env.reset_mix.values():
        if not isinstance(kind, OwnReset):
            continue
        for n, sizes in enumerate(env.team_sizes):
            for seed in range(STEPS):
                first, again = (kind.draw(np.random.default_rng(seed), sizes, n) for _ in range(2))
                if first != again:
                    raise ValueError(
                        f"{kind.label}: gives another start when it is called again with the same generator;\n"
                        "a reset must draw from the generator it gets and keep nothing from call to call"
                    )


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether both are equal up to rounding, which may depend on the number of rows."""
    return np.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)


def _joined(states: list[State]) -> State:
    """The arenas of all these states as one batch."""
    whole = states[0].of(sum(len(each) for each in states))
    whole.arena_rows[:] = np.concatenate([each.arena_rows for each in states])
    whole.car_rows[:] = np.concatenate([each.car_rows for each in states])
    return whole


def _rows(state: State, stop: int) -> State:
    """The first `stop` arenas."""
    part = state.of(stop)
    part.arena_rows[:], part.car_rows[:] = state.arena_rows[:stop], state.car_rows[:stop]
    return part
