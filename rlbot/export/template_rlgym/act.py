"""Controls for tick_skip ticks, as an action parser of RLGym v2. An action is the eight controls themselves."""

from typing import Any

import numpy as np
from rlgym.api import ActionParser


class TrainedAct(ActionParser):
    """Repeats controls, and keeps them for the next observation."""

    def __init__(self, tick_skip: int) -> None:
        self._tick_skip = tick_skip

    def get_action_space(self, agent: Any) -> tuple[str, int]:
        return "real", 8

    def reset(self, agents: list[Any], initial_state: Any, shared_info: dict[str, Any]) -> None:
        pass

    def parse_actions(self, actions: dict[Any, Any], state: Any, shared_info: dict[str, Any]) -> dict[Any, np.ndarray]:
        previous = shared_info.setdefault("previous_controls", {})
        previous.update({agent: np.asarray(controls).tolist() for agent, controls in actions.items()})
        return {agent: np.tile(controls, (self._tick_skip, 1)) for agent, controls in actions.items()}
