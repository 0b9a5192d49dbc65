"""An action table of the user's own: what a function returns, or what an action parser of RLGym's chooses from."""

from rlbot.env.action import Table, checked_table
from rlbot.env.rlgym import adapted
from rlbot.values.target import Target, call

_KEY = "env.actions"


def load_table(target: Target, tick_skip: int) -> Table:
    """The table that `target` gives for steps of so many ticks. Raises ValueError if it cannot be loaded or is none."""
    label = f"{_KEY} ({target.name})"
    actions = adapted(target.load(_KEY), _KEY)
    return checked_table(actions.table(tick_skip) if hasattr(actions, "table") else call(label, actions), label)
