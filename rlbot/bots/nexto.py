"""Nexto and Necto, by Rolv-Arild Braaten and contributors, played from the weights that they published.

Only the weights are theirs (CC BY-NC-SA 4.0): the user brings the file. Observation and actions are written anew after
the facts of their bots; rlbot.bots.timing says when they decide. Kickoffs are played by the network, not by the fixed
script of the bots that were released for the game.
"""

import numpy as np
from numpy.typing import NDArray

from rlbot.bots.cars import Cars
from rlbot.bots.entities import BALL, FORWARD, POSITION, VECTORS, VELOCITY, Floats, entities, seen_slots
from rlbot.bots.timing import Timing
from rlbot.bots.torchscript import Attention
from rlbot.env import ACTION_TABLE
from rlbot.sim import PAD_COOLDOWN, State

_HEADS = (3, 3, 2, 2, 2)  # of Necto: throttle and pitch, steer with yaw or roll, jump, boost, handbrake


class Nexto:
    """`weights`: path of nexto-model.pt. `beta`: 1 chooses the best action, 0.5 draws from the policy, 0 draws any
    action, -1 chooses the worst. Raises ValueError if the file is not Nexto's."""

    def __init__(self, weights: str, beta: float = 1.0) -> None:
        self._beta = checked_beta(beta)
        self._network = Attention(weights, len(ACTION_TABLE), "Nexto")
        timing = Timing(self.decide)
        self.act, self.reset = timing.act, timing.reset

    def decide(self, state: State, cars: Cars) -> Floats:
        """Controls (K, 8) of K cars."""
        logits = self._network(*nexto_inputs(state, cars))
        return ACTION_TABLE[choose(logits, self._beta, cars.random(1)[:, 0])]


class Necto:
    """Nexto's predecessor. `weights`: path of necto-model.pt. `beta`: as of Nexto."""

    def __init__(self, weights: str, beta: float = 1.0) -> None:
        self._beta = checked_beta(beta)
        self._network = Attention(weights, sum(_HEADS), "Necto")
        timing = Timing(self.decide)
        self.act, self.reset = timing.act, timing.reset

    def decide(self, state: State, cars: Cars) -> Floats:
        """Controls (K, 8) of K cars."""
        logits = np.split(self._network(*necto_inputs(state, cars)), np.cumsum(_HEADS)[:-1], axis=1)
        drawn = cars.random(len(_HEADS))
        made = [choose(each, self._beta, drawn[:, k]) for k, each in enumerate(logits)]
        return necto_controls(np.stack(made, axis=1))


def nexto_inputs(state: State, cars: Cars) -> tuple[Floats, Floats, Floats]:
    """(queries (K, 32), rows (K, ROWS, 24), mask (K, ROWS)): the car's own row with its controls, and the rows of
    everything as the car sees it: positions relative to it, all vectors turned so that it drives along y."""
    rows, mask = entities(state, cars)
    queries = np.concatenate([rows[:, 0], cars.controls], axis=1)
    rows[..., POSITION] -= queries[:, None, POSITION]
    x, y = queries[:, FORWARD.start], queries[:, FORWARD.start + 1]
    length = np.hypot(x, y)
    upright = length == 0  # a car that stands on its nose is not turned
    sin = np.where(upright, 0, x / np.where(upright, 1, length)).astype(np.float32)[:, None, None]
    cos = np.where(upright, 1, y / np.where(upright, 1, length)).astype(np.float32)[:, None, None]
    xs, ys = rows[..., VECTORS.start : VECTORS.stop : 3], rows[..., VECTORS.start + 1 : VECTORS.stop : 3]
    turned = cos * xs - sin * ys, sin * xs + cos * ys
    xs[:], ys[:] = turned
    return queries, rows, mask


def necto_inputs(state: State, cars: Cars) -> tuple[Floats, Floats, Floats]:
    """(queries (K, 32), rows (K, ROWS, 24), mask (K, ROWS)), as of Nexto with these differences: nothing is turned;
    velocities are relative, too; column 21 holds times, in units of 10 s.

    That of a demolished car is the time until it is back. That of a pad which is there is a clock that falls from 0.4
    (a big one: 1) to 0 and begins anew; 0 if the pad is not there. Necto was trained with clocks that begin when the
    pad comes back; here they begin with the episode, so that nothing has to be remembered."""
    rows, mask = entities(state, cars)
    pads = rows[:, BALL + 1 :, 21]
    full = (PAD_COOLDOWN / 10).astype(np.float32)
    pads *= full - np.mod(cars.ticks[:, None] / np.float32(1200), full)
    arena, slots = cars.arena[:, None], seen_slots(cars)
    rows[:, :BALL, 21] = state.car_is_demoed[arena, slots] * state.car_demo_timer[arena, slots] / 10
    queries = np.concatenate([rows[:, 0], cars.controls], axis=1)
    rows[..., POSITION.start : VELOCITY.stop] -= queries[:, None, POSITION.start : VELOCITY.stop]
    return queries, rows, mask


def necto_controls(made: NDArray[np.int64]) -> Floats:
    """Choices (K, 5) of Necto's heads -> controls (K, 8)."""
    throttle, steer, jump, boost, handbrake = (each.astype(np.float32) for each in made.T)
    throttle, steer = throttle - 1, steer - 1
    return np.stack(
        [throttle, steer, throttle, steer * (1 - handbrake), steer * handbrake, jump, boost, handbrake], axis=1
    )


def choose(logits: Floats, beta: float, uniform: Floats) -> NDArray[np.int64]:
    """One choice (K,) for each row of `logits` (K, choices), by `uniform` (K,) in [0, 1). Between the ends of `beta`
    the logits are multiplied by log_3((1 + beta) / (1 - beta)), which is 1 at 0.5 and 0 at 0."""
    if abs(beta) == 1:
        return np.asarray(np.argmax(beta * logits, axis=1))
    scaled = logits.astype(np.float64) * (np.log((1 + beta) / (1 - beta)) / np.log(3))
    cumulative = np.cumsum(np.exp(scaled - scaled.max(axis=1, keepdims=True)), axis=1)
    return np.asarray(np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1))


def checked_beta(beta: float) -> float:
    if isinstance(beta, bool) or not isinstance(beta, (int, float)) or not -1 <= beta <= 1:
        raise ValueError(f"beta={beta!r}: must be a number from -1 (the worst action) to 1 (the best)")
    return float(beta)
