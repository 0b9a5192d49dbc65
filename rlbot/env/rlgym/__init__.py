"""RLGym v2: its states from the arrays of a batch, and its parts in place of one's own."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from rlbot.values.target import KEY, Target

_POSITIONAL = "_args_"
_PROVIDER = "shared_info"  # of an observation builder: the shared info provider beside it
_TRUNCATES = "truncates"  # of a done condition: whether it truncates the episode; it terminates it otherwise


def adapted(function: Callable[..., Any], label: str) -> Any:
    """A loaded part of the user's own: as it is, or, if it is a class with the methods of one of RLGym's parts, as what
    the environment takes in its place. `label`: the dotted name of the setting.

    An argument of such a class may be a part as well, {_target_: ...}; `_args_` has those without a name; lists become
    tuples. Raises ValueError if RLGym is not installed."""
    try:
        return _adapted(function, label)
    except ImportError as error:
        raise ValueError(f"{label}: {error}") from error


def _adapted(function: Callable[..., Any], label: str) -> Any:
    part = getattr(function, "func", function)
    if not isinstance(part, type):
        return function
    make = functools.partial(_make, function, label)
    if hasattr(part, "get_rewards"):
        from rlbot.env.rlgym.game import RLGymReward

        return RLGymReward(make, label)
    if hasattr(part, "is_done"):
        from rlbot.env.rlgym.game import RLGymEnding

        rest, truncates = _without(function, _TRUNCATES)
        return RLGymEnding(functools.partial(_make, rest, label), label, truncates is True)
    if hasattr(part, "build_obs"):
        from rlbot.env.rlgym.observations import RLGymObservation

        rest, provider = _without(function, _PROVIDER)
        provide = None if provider is None else functools.partial(_resolved, provider, f"{label}.{_PROVIDER}")
        return RLGymObservation(functools.partial(_make, rest, label), label, provide)
    if hasattr(part, "parse_actions"):
        from rlbot.env.rlgym.actions import RLGymActions

        return RLGymActions(make, label)
    if hasattr(part, "apply"):
        from rlbot.env.rlgym.resets import RLGymReset

        return RLGymReset(make, label)
    return function


def _without(function: Callable[..., Any], name: str) -> tuple[Callable[..., Any], Any]:
    """`function` without its argument `name`, and that argument; None if it has none."""
    keywords = dict(getattr(function, "keywords", {}))
    value = keywords.pop(name, None)
    return functools.partial(getattr(function, "func", function), *getattr(function, "args", ()), **keywords), value


def _make(function: Callable[..., Any], label: str) -> Any:
    arguments = dict(getattr(function, "keywords", {}))
    positional = [*getattr(function, "args", ()), *arguments.pop(_POSITIONAL, ())]
    made = {name: _resolved(value, f"{label}.{name}") for name, value in arguments.items()}
    return getattr(function, "func", function)(*_resolved(positional, f"{label}.{_POSITIONAL}"), **made)


def _resolved(value: Any, key: str) -> Any:
    """`value` with an object in place of each {_target_: ...} in it."""
    if isinstance(value, Mapping) and KEY in value:
        arguments = {name: each for name, each in value.items() if name != KEY}
        return _make(Target(str(value[KEY]), arguments).load(key), key)
    if isinstance(value, list | tuple):
        return tuple(_resolved(each, f"{key}.{i}") for i, each in enumerate(value))
    return value
