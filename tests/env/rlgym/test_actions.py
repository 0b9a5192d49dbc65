"""Action parsers of RLGym's as action tables."""

import re
from typing import Any

import numpy as np
import pytest

from rlbot.env.own_actions import load_table
from rlbot.values.target import Target

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
pytest.importorskip("rlgym_tools.rocket_league.action_parsers.advanced_lookup_table_action", reason="needs rlgym-tools")
from rlgym.rocket_league.action_parsers import LookupTableAction
from rlgym_tools.rocket_league.action_parsers.advanced_lookup_table_action import AdvancedLookupTableAction

OWN, TOOLS = "rlgym.rocket_league.action_parsers", "rlgym_tools.rocket_league.action_parsers"
LOOKUP = {"_target_": f"{OWN}.LookupTableAction"}
REPEATED = {"_target_": f"{OWN}.RepeatAction", "parser": LOOKUP}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (f"{OWN}.LookupTableAction", {}),
        (f"{OWN}.RepeatAction", {"parser": LOOKUP, "repeats": 8}),
        (f"{TOOLS}.action_history_wrapper.ActionHistoryWrapper", {"action_parser": REPEATED}),
    ],
)
def test_a_lookup_table_alone_or_repeated_is_the_table(name: str, arguments: dict[str, Any]) -> None:
    table = load_table(Target(name, arguments), 8)
    np.testing.assert_array_equal(table, LookupTableAction.make_lookup_table().astype(np.float32))


def test_the_table_of_rlgym_tools() -> None:
    target = Target(f"{TOOLS}.advanced_lookup_table_action.AdvancedLookupTableAction", {"throttle_bins": 5})
    wanted = AdvancedLookupTableAction.make_lookup_table(5).astype(np.float32)
    np.testing.assert_array_equal(load_table(target, 6), wanted)


class Parser:
    """Drives at a throttle that depends on `on`."""

    def __init__(self, on: str = "", space: Any = ("discrete", 4), shape: tuple[int, ...] = (8,)) -> None:
        self.on, self.space, self.shape = on, space, shape

    def get_action_space(self, agent: str) -> Any:
        return self.space

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        pass

    def parse_actions(self, actions: Any, state: Any, shared_info: Any) -> Any:
        parsed = {agent: np.full(self.shape, 0.1 * action[0]) for agent, action in actions.items()}
        if self.on == "state":
            parsed["blue-0"] += 0.1 * (not state.cars["blue-0"].on_ground)
        elif self.on == "agent":
            parsed["orange-0"] += 0.1
        elif self.on == "ticks":
            parsed["blue-0"][3:] = parsed["orange-0"][3:] = 0
        elif self.on == "large":
            parsed = {agent: 20 * controls for agent, controls in parsed.items()}
        elif self.on == "nobody":
            return {}
        return parsed


def parser(**arguments: Any) -> Target:
    return Target(f"{__name__}.Parser", arguments)


REFUSED = {
    "its controls last 4 ticks, and env.tick_skip=8": Target(f"{OWN}.RepeatAction", {"parser": LOOKUP, "repeats": 4}),
    "what an action does depends on the actions before it (for a delay there is env.action_delay)": Target(
        f"{TOOLS}.delayed_action.DelayedAction", {"action_parser": REPEATED, "delay_ticks": 4}
    ),
    "depends on the actions before it": Target(f"{TOOLS}.queued_action.QueuedAction", {"parser": REPEATED}),
    "what an action does depends on the state of the game": parser(on="state"),
    "what an action does depends on the agent": parser(on="agent"),
    "the controls of an action change within a step": parser(on="ticks", shape=(8, 8)),
    "its action space is ('real', 8), which is not ('discrete', number of actions)": parser(space=("real", 8)),
    "its controls are of shape (1, 5), not (ticks, 8)": parser(shape=(5,)),
    "row 1 has throttle=2; must be in [-1, 1]": parser(on="large"),
    "env.actions fails: KeyError: 'blue-0'": parser(on="nobody"),
    "env.actions fails: TypeError": parser(wrong=1),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_parser_that_is_no_table_is_refused_with_the_reason(message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_table(REFUSED[message], 8)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("env.actions")
