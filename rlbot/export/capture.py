"""Converts states of the simulation to the columns of RLBot's packets, tick by tick."""

import numpy as np
from numpy.typing import NDArray

from rlbot.export.template.agent.geometry import directions, dot
from rlbot.export.template.agent.recording import BALL_COLUMNS, CAR_COLUMNS
from rlbot.sim import PAD_COOLDOWN, State

ON_GROUND, JUMPING, DOUBLE_JUMPING, DODGING, IN_AIR = range(5)  # RLBot's AirState
DODGE_TICKS, DOUBLE_JUMP_TICKS = 79, 13  # duration of these states
FLIP_WINDOW = 1.25  # s
NOBODY = -1  # as a team: a slot without a car


class Capture:
    """Converts the states of one arena to packets. It needs every tick, because it counts how long a dodge lasts."""

    def __init__(self, player_ids: NDArray[np.int64], hold_extends_timeout: bool = False) -> None:
        """`player_ids` (P,): the ids of the cars by slot.

        `hold_extends_timeout`: count the time for which jump was held twice in dodge_timeout, as rlbot-rocketsim does
        and rlgym-compat does not.
        """
        self.player_ids, self.hold_extends_timeout = player_ids, hold_extends_timeout
        self._jump = np.zeros(len(player_ids))  # ticks of the last jump
        self._double_jump, self._dodge = np.zeros((2, len(player_ids)))  # ticks since they began

    def ball(self, state: State, n: int) -> NDArray[np.float32]:
        """(9,) columns of the ball of arena n."""
        row = np.empty(len(BALL_COLUMNS), np.float32)
        row[:3], row[3:6], row[6:] = state.ball_pos[n], state.ball_vel[n], state.ball_ang_vel[n]
        return row

    def pads(self, state: State, n: int) -> NDArray[np.float32]:
        """(34, 2): is_active, and the time since the pick-up (0 for an active one)."""
        rows = np.empty((len(PAD_COOLDOWN), 2), np.float32)
        rows[:, 0] = state.pad_active[n]
        rows[:, 1] = np.where(rows[:, 0] > 0, 0, np.maximum(PAD_COOLDOWN - state.pad_timer[n], 0))
        return rows

    def cars(self, state: State, n: int, controls: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P, 31) columns of the cars of arena n, one tick after the previous call. `controls` (P, 8) are those of the
        tick."""
        rows = np.zeros((len(controls), len(CAR_COLUMNS)), np.float32)
        rows[:, 1] = NOBODY
        for slot in np.flatnonzero(state.present[n]).tolist():
            car = state.cars[n, slot]
            air_state = self._air_state(car, slot)
            rotation = rotator(*(tuple(car[name].tolist()) for name in ("forward", "right", "up")))
            rows[slot] = [
                self.player_ids[slot], slot // state.team_slots, *car["pos"], *rotation, *car["vel"], *car["ang_vel"],
                car["boost"], air_state, self._dodge_timeout(car, slot, air_state),
                car["demo_timer"] if car["is_demoed"] else -1, car["is_supersonic"], car["has_jumped"],
                car["has_double_jumped"], car["has_flipped"], self._dodge[slot] / 120, *controls[slot],
            ]  # fmt: skip
        return rows

    def _air_state(self, car: np.void, slot: int) -> int:
        """The air state of a car. A jump or dodge counts even if the wheels still touch the ground."""
        jumping = car["has_jumped"] > 0 and car["air_time_since_jump"] == 0
        self._jump[slot] = (self._jump[slot] + 1) if jumping else self._jump[slot] * (car["has_jumped"] > 0)
        self._double_jump[slot] = (self._double_jump[slot] + 1) * (car["has_double_jumped"] > 0)
        self._dodge[slot] = (self._dodge[slot] + 1) * (car["has_flipped"] > 0)
        if car["is_demoed"]:
            return ON_GROUND if car["on_ground"] else IN_AIR
        if jumping:
            return JUMPING
        if 0 < self._dodge[slot] <= DODGE_TICKS:
            return DODGING
        if 0 < self._double_jump[slot] <= DOUBLE_JUMP_TICKS:
            return DOUBLE_JUMPING
        return ON_GROUND if car["on_ground"] else IN_AIR

    def _dodge_timeout(self, car: np.void, slot: int, air_state: int) -> float:
        spent = car["has_double_jumped"] or car["has_flipped"] or not car["has_jumped"]
        left = FLIP_WINDOW - float(car["air_time_since_jump"])
        left += self._jump[slot] / 120 if self.hold_extends_timeout else 0
        return -1.0 if spent or air_state in (ON_GROUND, JUMPING) or left <= 0 else left


def rotator(
    forward: tuple[float, float, float], right: tuple[float, float, float], up: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Pitch, yaw and roll of a car. The roll is measured against level axes, so that it stays exact if the nose points
    straight up, where pitch and yaw are not."""
    pitch = np.arctan2(forward[2], np.hypot(forward[0], forward[1]))
    yaw = np.arctan2(forward[1], forward[0])
    _, level_right, _ = directions(pitch, yaw, 0.0)
    return float(pitch), float(yaw), float(np.arctan2(dot(up, level_right), dot(right, level_right)))
