"""Generalized advantage estimation. Trajectories may end at any row of the rollout."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def next_values(values: Floats, final_index: NDArray[np.int64], final_values: Floats) -> Floats:
    """Returns the value of the observation that followed each row in ITS OWN trajectory, (T, A).

    values (T+1, A): the last row holds the values of the observations after the rollout. final_values (K,): values of
    the final observations of the rows final_index (K, 2), which were truncated and did not terminate.
    """
    following: Floats = values[1:].copy()
    # After a truncation the next stored row belongs to the next episode, so it must not be used for the bootstrap.
    following[final_index[:, 0], final_index[:, 1]] = final_values
    return following


@njit(cache=True)
def _gae(
    rewards: Floats,
    values: Floats,
    following: Floats,
    terminated: Flags,
    truncated: Flags,
    gamma: float,
    lam: float,
) -> Floats:
    steps, agents = rewards.shape
    advantages = np.empty((steps, agents), dtype=np.float32)
    running = np.zeros(agents, dtype=np.float32)
    for t in range(steps - 1, -1, -1):
        for a in range(agents):
            # Branches instead of products with zero: a masked cell may hold anything, even NaN.
            delta = rewards[t, a] - values[t, a]
            if not terminated[t, a]:
                delta += gamma * following[t, a]
                if not truncated[t, a]:
                    delta += gamma * lam * running[a]
            running[a] = delta
            advantages[t, a] = delta
    return advantages


def gae(
    rewards: Floats,
    values: Floats,
    next_values: Floats,
    terminated: Flags,
    truncated: Flags,
    gamma: float,
    gae_lambda: float,
) -> tuple[Floats, Floats]:
    """Returns advantages and lambda-returns, (T, A) float32 each, from (T, A) arrays.

    next_values[t] is the value of the observation that followed row t in its own trajectory (see `next_values`). It is
    not read if the row terminated. The recursion is cut only at rows that terminated or were truncated; at the end of
    the rollout it bootstraps from next_values[-1].

    Schulman et al. (2016), "High-Dimensional Continuous Control Using Generalized Advantage Estimation".
    """
    advantages = _gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda)
    return advantages, advantages + values
