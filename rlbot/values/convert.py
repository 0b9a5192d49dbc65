"""Converts plain values (as from a YAML file) to frozen dataclasses, and finds all faults, not only the first.

The types of the dataclass fields may be bool, int, float, str, Literal, X | None, X | Ramp, tuple[X, ...], dict[str, X]
and other dataclasses. Annotated[int, Range(...)] limits a number, Annotated[str, Names(...)] a name or the keys of a
dict. Values that may be mistakes are not converted: 1e3 is not a whole number, and "yes" is not a bool.
"""

import dataclasses
import difflib
import importlib
import json
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from rlbot.values.ramp import KEYS, Ramp

MISSING = "???"  # OmegaConf's mark for a value that must be given


@dataclass(frozen=True)
class Range:
    """The numbers low <= x <= high, or low < x <= high if `above`."""

    low: float
    high: float = 1e15
    above: bool = False

    def fault(self, value: float) -> str | None:
        """Returns what is wrong with a number; None if it is in range."""
        if value < self.low or (self.above and value == self.low):
            return f"must be {'above' if self.above else 'at least'} {_plain(self.low)}"
        return f"must be at most {_plain(self.high)}" if value > self.high else None


@dataclass(frozen=True)
class Names:
    """The names in `attribute` of `module`. The module is imported only when they are needed: it may take a second.
    If not `closed`, other names are allowed too."""

    module: str
    attribute: str
    closed: bool = True

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(importlib.import_module(self.module), self.attribute))


def _plain(number: float) -> str:
    return f"{int(number):_}" if number == int(number) else f"{number:g}"


def shown(value: object) -> str:
    """Returns a value as it is written on the command line, cut to 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def names_of(kind: Any) -> tuple[str, ...]:
    """Returns the names that Annotated[str, Names(...)] allows; () for str, which allows any name."""
    return tuple(get_args(kind)[1]) if _is_named(kind) else ()


def _is_named(kind: Any) -> bool:
    return get_origin(kind) is Annotated and isinstance(get_args(kind)[1], Names)


class Converter:
    """Converts values, and collects in `problems` what is wrong with them, each as "KEY=VALUE: what to do".

    A wrong value becomes None, so that later faults are found too: use a result only if `problems` is empty.
    A dataclass with a class method `parse(value, key, converter)` converts itself.
    `unknown` returns the message for a key that a dataclass does not have.
    """

    def __init__(self, unknown: Callable[[str], str]) -> None:
        self.problems: list[str] = []
        self._unknown = unknown
        self._named: list[tuple[str, str, Names]] = []  # the start of the message, a name, and the allowed names

    def fault(self, key: str, value: object, what: str) -> None:
        self.problems.append(f"{key}={shown(value)}: {what}")

    def check_names(self) -> None:
        """Adds the names that do not exist to `problems`. Separate from `convert`, because its imports are slow."""
        for line, name, names in self._named:
            if name not in list(names):
                self.problems.append(line + ", ".join(names))

    def convert(self, kind: Any, value: Any, key: str) -> Any:
        """Returns `value` as `kind`; `key` is its dotted name, empty for the root."""
        origin, arguments = get_origin(kind), get_args(kind)
        if isinstance(value, str) and value == MISSING:
            self.problems.append(f"{key}: has no value; give it one with {key}=VALUE")
            return None
        if origin in (Union, types.UnionType):  # X | None, or X | Ramp
            if Ramp in arguments:
                read = self._ramp if isinstance(value, Mapping) else self.convert
                return read(arguments[0], value, key)
            return None if value is None else self._optional(arguments[0], value, key)
        if origin is Annotated:
            number = self.convert(arguments[0], value, key)
            if number is not None and isinstance(arguments[1], Names):
                self._named.append((f"{key}={shown(value)}: must be one of ", number, arguments[1]))
            elif number is not None and (what := arguments[1].fault(number)):
                self.fault(key, value, what)
            return number
        if origin is Literal:
            if isinstance(value, str) and value in arguments:
                return value
            return self.fault(key, value, f"must be one of {', '.join(arguments)}")
        if origin is tuple:
            if isinstance(value, list):
                return tuple(self.convert(arguments[0], item, f"{key}.{i}") for i, item in enumerate(value))
            return self.fault(key, value, "must be a list, such as [A,B]")
        if hasattr(kind, "parse"):
            return kind.parse(value, key, self)
        if origin is not dict and not dataclasses.is_dataclass(kind):
            return self._scalar(kind, value, key)
        if not isinstance(value, Mapping):
            return self.fault(key, value, "must be a group of settings, such as {NAME: VALUE}")
        return self._mapping(arguments, value, key) if origin is dict else self._dataclass(kind, value, key)

    def _optional(self, kind: Any, value: Any, key: str) -> Any:
        before = len(self.problems)
        converted = self.convert(kind, value, key)
        if (get_args(kind) or (kind,))[0] in (int, float, bool):
            self.problems[before:] = [f"{line}, or null" for line in self.problems[before:]]
        return converted

    def _dataclass(self, kind: Any, value: Mapping[Any, Any], key: str) -> Any:
        prefix = f"{key}." if key else ""
        hints = get_type_hints(kind, include_extras=True)
        self.problems += [self._unknown(f"{prefix}{name}") for name in value if name not in hints]
        self.problems += [f"{prefix}{name}: is missing" for name in hints if name not in value]
        given = {name: self.convert(hints[name], value[name], prefix + name) for name in hints if name in value}
        return kind(**(dict.fromkeys(hints) | given))

    def _ramp(self, kind: Any, value: Mapping[Any, Any], key: str) -> Ramp | None:
        if value.keys() != KEYS:
            self.fault(key, value, "must be a number, or a ramp {from: NUMBER, to: NUMBER, over: TIMESTEPS}")
            return None
        start, end = (self.convert(kind, value[name], f"{key}.{name}") for name in ("from", "to"))
        return Ramp(start, end, self.convert(Annotated[int, Range(1)], value["over"], f"{key}.over"))

    def _mapping(self, kinds: tuple[Any, Any], value: Mapping[Any, Any], key: str) -> dict[str, Any]:
        for name in value:
            if not isinstance(name, str):
                self.problems.append(f"{key}.{shown(name)}: a name must be text")
            elif _is_named(kinds[0]) and get_args(kinds[0])[1].closed:
                self._named.append((f"{key}.{shown(name)}: no such name; there are: ", name, get_args(kinds[0])[1]))
        return {str(name): self.convert(kinds[1], item, f"{key}.{name}") for name, item in value.items()}

    def _scalar(self, kind: type, value: Any, key: str) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(value, float) and not math.isfinite(value):
            return self.fault(key, value, "must be a finite number")
        if kind is bool and isinstance(value, bool):
            return value
        if kind is float and number:
            return float(min(value, 10**300))  # a larger whole number would overflow; it is above every range anyway
        if kind is int and number:
            if isinstance(value, int):
                return value
            hint = f"; write {int(value):_}" if value == int(value) else ""
            return self.fault(key, value, f"must be a whole number{hint}")
        if kind is str and (number or isinstance(value, str)):
            text = str(value)
            if not text.isprintable():  # such as an invalid byte on the command line, which no file could hold
                return self.fault(key, value, "must be printable text")
            return text if text.strip() else self.fault(key, value, "must not be empty")
        what = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}[kind]
        return self.fault(key, value, f"must be {what}")


def checked(kind: Any, value: Any, key: str) -> Any:
    """Returns `value` as `kind`, for values from Python code; NumPy scalars are allowed. Raises ValueError with a line
    for every fault, each "KEY=VALUE: what to do"; `key` is the caller's name of the value."""
    converter = Converter(lambda name: f"{name}: no such name")
    converted = converter.convert(kind, _plain_value(value), key)
    if not converter.problems:
        converter.check_names()
    if converter.problems:
        raise ValueError("\n".join(converter.problems))
    return converted


def _plain_value(value: Any) -> Any:
    """Converts NumPy scalars to Python numbers, also within a mapping or a sequence."""
    if isinstance(value, Mapping):
        return {name: _plain_value(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain_value(item) for item in value]
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def no_such_name(key: str, name: str, names: Sequence[str]) -> str:
    """Returns the message for a name that is not one of `names`, with the nearest one that is."""
    near = difflib.get_close_matches(name, names, 1)
    return f"{key}: no such name; {f'did you mean {near[0]}?' if near else 'there are: ' + ', '.join(names)}"


def share_fault(key: str, shares: Mapping[str, float]) -> str | None:
    """Returns the message if no share is above 0; otherwise None."""
    return None if sum(shares.values()) > 0 else f"{key}={shown(shares)}: at least one share must be above 0"


def delay_fault(prefix: str, action_delay: int, tick_skip: int) -> str | None:
    """Returns the message if a delay is not shorter than a step; otherwise None."""
    if action_delay < tick_skip:
        return None
    return f"{prefix}action_delay={action_delay}: must be below {prefix}tick_skip={tick_skip}"
