"""An action table of the user's own: what a function returns, or what an action parser of RLGym's chooses from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env.action import Table, checked_table
from rlbot.env.rlgym import adapted
from rlbot.values.convert import checked
from rlbot.values.target import Target, call

_KEY = "env.actions"
AnyActions = Mapping[str, Any] | Target | NDArray[Any] | Sequence[Any]


def load_table(target: Target, tick_skip: int) -> Table:
    """The table that `target` gives for steps of so many ticks. Raises ValueError if it cannot be loaded or is none."""
    label = f"{_KEY} ({target.name})"
    actions = adapted(target.load(_KEY), _KEY)
    return checked_table(actions.table(tick_skip) if hasattr(actions, "table") else call(label, actions), label)


def chosen_table(given: AnyActions, tick_skip: int) -> NDArray[np.float32]:
    """The table (K, 8) that the argument `actions` of an environment says: a Target or {_target_: ..., and arguments}
    for the user's own, or the table itself. Raises ValueError if it is something else, or cannot be loaded or used."""
    if isinstance(given, Target | Mapping):
        target = given if isinstance(given, Target) else checked(Target, given, "actions")
        return np.array(load_table(target, tick_skip), np.float32)
    return np.array(checked_table(given, "actions"), np.float32)
