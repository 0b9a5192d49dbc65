"""Rules: what is taken and what is refused, with the words of the command line."""

import math
import re
from typing import Any

import numpy as np
import pytest

from rlbot.env import Rules
from rlbot.settings.command import compose
from rlbot.settings.errors import ConfigError

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tick_skip": 8, "action_delay": 8}, "action_delay=8: must be below tick_skip=8"),
    ({"tick_skip": 0}, "tick_skip=0: must be at least 1"),
    ({"tick_skip": 121}, "tick_skip=121: must be at most 120"),
    ({"tick_skip": 8.0}, "tick_skip=8.0: must be a whole number; write 8"),
    ({"tick_skip": True}, "tick_skip=true: must be a whole number"),
    ({"action_delay": -1}, "action_delay=-1: must be at least 0"),
    ({"time_limit": math.inf}, "time_limit=Infinity: must be a finite number, or null"),
    ({"time_limit": 0}, "time_limit=0: must be above 0, or null"),
    ({"no_touch_limit": math.nan}, "no_touch_limit=NaN: must be a finite number, or null"),
    ({"no_touch_limit": "10 s"}, "no_touch_limit=10 s: must be a number, or null"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_wrong_values_are_refused_from_python_as_on_the_command_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Rules(**wrong)
    written = {True: "true", "10 s": "'10 s'"}
    with pytest.raises(ConfigError) as caught:
        compose([f"env.{name}={written.get(value, value)}" for name, value in wrong.items()])
    assert str(caught.value) == re.sub(r"(^|below )(?=[a-z_]+=)", r"\1env.", message)


def test_numbers_of_numpy_and_no_limits_are_taken() -> None:
    rules = Rules(np.int64(4), np.int32(2), np.float32(2.5), None)
    assert rules == Rules(4, 2, 2.5, None) and type(rules.tick_skip) is int and type(rules.time_limit) is float
    assert Rules(time_limit=3).time_limit == 3.0 and rules.seconds_per_step == 4 / 120
