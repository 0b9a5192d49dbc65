"""The numbers that the policy was trained to see, as an observation builder of RLGym v2.

It takes the GameState of rlgym-compat in the game, and that of RLGym's own engine in the simulation.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
from agent.observation import USUAL, observe
from rlgym.api import ObsBuilder

NOTHING = [0.0] * 8


class TrainedObs(ObsBuilder):
    """What every car sees. The controls that a car chose last are in shared_info["previous_controls"], see act.py."""

    def __init__(self, cooldowns: list[float], elapsed_timers: bool, size: int = USUAL) -> None:
        """`cooldowns`: of the 34 boost pads, in s. `size`: of an observation.

        `elapsed_timers`: the state's boost_pad_timers hold the seconds SINCE a pick-up, as rlgym-compat 2.3.6 fills
        them in the game; False for seconds until the pad is back, as in RLGym.
        """
        self._cooldowns, self._elapsed_timers, self._size = cooldowns, elapsed_timers, size

    def get_obs_space(self, agent: Any) -> tuple[str, int]:
        return "real", self._size

    def reset(self, agents: list[Any], initial_state: Any, shared_info: dict[str, Any]) -> None:
        shared_info["previous_controls"] = {}

    def build_obs(self, agents: list[Any], state: Any, shared_info: dict[str, Any]) -> dict[Any, np.ndarray]:
        tracked = SimpleNamespace(
            cars={agent: _car(car) for agent, car in state.cars.items()},
            ball_pos=_vector(state.ball.position),
            ball_vel=_vector(state.ball.linear_velocity),
            ball_ang_vel=_vector(state.ball.angular_velocity),
            pad_timers=[self._until(timer, i) for i, timer in enumerate(state.boost_pad_timers.tolist())],
            cooldowns=self._cooldowns,
        )
        previous = shared_info.get("previous_controls", {})
        return {agent: observe(tracked, agent, previous.get(agent, NOTHING), self._size) for agent in agents}

    def _until(self, timer: float, pad: int) -> float:
        if not self._elapsed_timers:
            return timer
        return max(self._cooldowns[pad] - timer, 0.0) if timer > 0 else 0.0


def _car(car: Any) -> SimpleNamespace:
    physics = car.physics
    return SimpleNamespace(
        team=int(car.team_num),
        pos=_vector(physics.position),
        vel=_vector(physics.linear_velocity),
        ang_vel=_vector(physics.angular_velocity),
        forward=_vector(physics.rotation_mtx[:, 0]),
        right=_vector(physics.rotation_mtx[:, 1]),
        up=_vector(physics.rotation_mtx[:, 2]),
        boost=float(car.boost_amount),
        on_ground=bool(car.on_ground),
        has_flip=bool(car.on_ground or car.has_flip),
        has_jumped=bool(car.has_jumped),
        has_double_jumped=bool(car.has_double_jumped),
        has_flipped=bool(car.has_flipped),
        air_time_since_jump=float(car.air_time_since_jump),
        is_supersonic=bool(car.is_supersonic),
        is_demoed=bool(car.is_demoed),
        demo_timer=float(car.demo_respawn_timer),
        handbrake=float(car.handbrake),
    )


def _vector(array: np.ndarray) -> tuple[float, ...]:
    return tuple(float(each) for each in array)
