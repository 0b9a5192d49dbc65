"""RLGym's action parsers as action tables: the controls of every action, if they are the same at all times."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env.rlgym.states import kickoff, seeded
from rlbot.values.target import PartError, call

_AGENTS = ["blue-0", "orange-0"]


class RLGymActions:
    """An action parser of RLGym's that chooses from a table, such as LookupTableAction, alone or in a RepeatAction."""

    def __init__(self, make: Callable[[], Any], label: str = "an RLGym action parser") -> None:
        """`make` is called for each table. `label`: what messages call it."""
        self._make, self._label = make, label

    def table(self, tick_skip: int) -> NDArray[np.float32]:
        """The controls (K, 8) of its K actions in a step of so many ticks. Raises PartError if the parser fails, or
        what an action does depends on more than its number."""
        with seeded(np.random.default_rng(0)):
            parser = call(self._label, self._make)
            count = self._count(call(self._label, parser.get_action_space, _AGENTS[0]))
            standing, flying = kickoff((1, 1)), _flying()
            call(self._label, parser.reset, _AGENTS, standing, {})
            rows, again, other = (
                self._parsed(parser, order, state)
                for order, state in ((range(count), standing), (range(count)[::-1], standing), (range(count), flying))
            )
        for found, what in ((again[::-1], "the actions before it (for a delay there is env.action_delay)"),
                            (other, "the state of the game")):  # fmt: skip
            self._require(np.array_equal(rows, found), f"what an action does depends on {what}")
        self._require(np.array_equal(rows[:, 0], rows[:, 1]), "what an action does depends on the agent")
        ticks = rows.shape[2]
        self._require(ticks in (1, tick_skip), f"its controls last {ticks} ticks, and env.tick_skip={tick_skip}")
        self._require((rows == rows[:, :, :1]).all(), "the controls of an action change within a step")
        return rows[:, 0, 0]

    def _count(self, space: Any) -> int:
        discrete = isinstance(space, tuple) and len(space) == 2 and space[0] == "discrete"
        self._require(discrete, f"its action space is {space}, which is not ('discrete', number of actions)")
        return int(space[1])

    def _parsed(self, parser: Any, order: Any, state: Any) -> NDArray[np.float32]:
        """The controls of both agents for each action in this order: (K, 2, ticks, 8)."""
        found = []
        for number in order:
            actions = {agent: np.array([number]) for agent in _AGENTS}
            found.append(call(self._label, _controls, parser, actions, state))
        shapes = {each.shape for pair in found for each in pair}
        self._require(len(shapes) == 1, f"its controls are of shapes {' and '.join(map(str, sorted(shapes)))}")
        rows = np.array(found, np.float32)
        fit = rows.ndim == 4 and rows.shape[3] == 8
        self._require(fit, f"its controls are of shape {rows.shape[2:]}, not (ticks, 8)")
        return rows

    def _require(self, holds: bool, why: str) -> None:
        if not holds:
            raise PartError(f"{self._label} is no table of controls: {why}")


def _controls(parser: Any, actions: dict[str, Any], state: Any) -> list[NDArray[Any]]:
    """The controls of each agent, (ticks, 8)."""
    given = parser.parse_actions(actions, state, {})
    return [np.atleast_2d(given[agent]) for agent in actions]


def _flying() -> Any:
    """A state in which both cars have jumped."""
    state = kickoff((1, 1))
    state.ball.position = np.array([500.0, -900.0, 700.0], np.float32)
    for car in state.cars.values():
        car.physics.position[2], car.boost_amount = 600.0, 0.0
        car.on_ground, car.has_jumped, car.air_time_since_jump = False, True, 0.5
    return state
