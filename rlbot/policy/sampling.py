"""Draw actions: counter-based random numbers, and one function for each kind of action head."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def _mix(x):  # type: ignore[no-untyped-def]
    """The finaliser of SplitMix64 (Steele et al., 2014): a bijection of 64 bits whose output looks random."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def uniforms(seed, step, cars, out):  # type: ignore[no-untyped-def]
    """Fill `out` (M, K) with numbers in [0, 1) that depend only on (seed, step, car, column).

    There is no generator with a state, so every process draws the same numbers for a car at a step.
    """
    stream = _mix(np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(step))
    for i in range(len(cars)):
        own = _mix(stream + np.uint64(cars[i]) * np.uint64(0xD1B54A32D192ED03))
        for k in range(out.shape[1]):
            bits = _mix(own + np.uint64(k + 1) * np.uint64(0x9E3779B97F4A7C15))
            out[i, k] = np.float32(bits >> np.uint64(40)) * np.float32(2.0**-24)


@njit(cache=True)
def forbid(logits, masks):  # type: ignore[no-untyped-def]
    """Set the logits (M, K) of the actions that `masks` (rlbot.env.action_mask) forbid to minus infinity, in place."""
    for i in range(len(logits)):
        for j in range(logits.shape[1]):
            if not (masks[i, j >> 3] >> (j & 7)) & 1:
                logits[i, j] = -np.inf


@njit(cache=True)
def subtract_largest(logits):  # type: ignore[no-untyped-def]
    """Subtract the largest number of each row from the row, in place, so that no exponential overflows."""
    for row in logits:
        largest = row[0]
        for j in range(1, len(row)):
            largest = row[j] if row[j] > largest else largest
        for j in range(len(row)):
            row[j] -= largest


@njit(cache=True)
def draw(exps, uniform, actions, log_probs):  # type: ignore[no-untyped-def]
    """One choice for each row of exps = exp(logit - max), by inverting the cumulative distribution."""
    rows, choices = exps.shape
    for i in range(rows):
        total = np.float32(0.0)
        for j in range(choices):
            total += exps[i, j]
        point = uniform[i, 0] * total
        chosen, cumulative = choices - 1, np.float32(0.0)
        for j in range(choices):
            cumulative += exps[i, j]
            if cumulative > point:
                chosen = j
                break
        actions[i] = chosen
        log_probs[i] = np.log(exps[i, chosen] / total)


@njit(cache=True)
def draw_each(logits, uniform, actions, log_probs):  # type: ignore[no-untyped-def]
    """Eight independent choices for each row: five out of 3, then three out of 2."""
    for i in range(len(logits)):
        log_probs[i] = 0.0
        first = 0
        for c in range(8):
            count = 3 if c < 5 else 2
            part = logits[i, first : first + count]
            top = part.max()
            total = np.exp(part - top).sum()
            point, cumulative, chosen = uniform[i, c] * total, 0.0, count - 1
            for j in range(count):
                cumulative += np.exp(part[j] - top)
                if cumulative > point:
                    chosen = j
                    break
            actions[i, c] = chosen
            log_probs[i] += part[chosen] - top - np.log(total)
            first += count


@njit(cache=True)
def draw_normal(mean, log_std, uniform, actions, log_probs):  # type: ignore[no-untyped-def]
    """Draw each control from a Gaussian, before tanh. The log-probability is that of the control after tanh."""
    for i in range(len(mean)):
        log_probs[i] = 0.0
        for c in range(8):
            spread = min(max(log_std[c], -5.0), 1.0)
            u, v = 1.0 - uniform[i, 2 * c], uniform[i, 2 * c + 1]
            z = math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)  # Box and Muller (1958)
            x = mean[i, c] + math.exp(spread) * z
            softplus = math.log1p(math.exp(-2.0 * x)) if x > -20.0 else -2.0 * x
            slope = 2.0 * (math.log(2.0) - x - softplus)  # log of 1 - tanh(x)^2
            actions[i, c] = x
            log_probs[i] += -0.5 * z * z - spread - 0.5 * math.log(2.0 * math.pi) - slope


def random_rows(num_rows: int, seed: int, step: int, cars: NDArray[np.int64]) -> NDArray[np.int64]:
    """A random row of the action table for each of the cars numbered `cars` (M,); all rows are equally likely."""
    chosen = np.empty((len(cars), 1), np.float32)
    uniforms(seed, step, cars, chosen)
    return (chosen[:, 0] * num_rows).astype(np.int64)
