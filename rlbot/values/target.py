"""A part of the user's own: a function or class that the settings name with `_target_`, and its arguments."""

import functools
import importlib
import importlib.util
import re
import sys
import traceback
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlbot.values.convert import MISSING, Converter

KEY = "_target_"


class PartError(ValueError):
    """A part of the user's own raises an exception or returns something wrong; the message is one line that names it.
    A run that it ends reports that line without a traceback."""


@dataclass(frozen=True)
class Target:
    """`name`: "module.function" or "path/to/file.py:function". `arguments`: what it is called with besides what every
    part of its kind gets."""

    name: str
    arguments: dict[str, Any]

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter, others: Collection[str] = ()) -> "Target | None":
        """Reads {_target_: ..., and the arguments of the function}; the keys `others` are left to the caller."""
        if is_file(value):
            converter.fault(key, value, f"a part of your own is written as {key}={{{KEY}: '{value}'}}")
            return None
        name = value.get(KEY) if isinstance(value, Mapping) else None
        if not isinstance(name, str) or not re.fullmatch(r"[\w.]+\.\w+|.+\.py:\w+", name):
            converter.fault(f"{key}.{KEY}", name, "must be module.function or path/to/file.py:function")
            return None
        arguments = {str(each): item for each, item in value.items() if each != KEY and each not in others}
        missing = [f"{key}.{each}" for each, item in arguments.items() if item == MISSING]
        converter.problems += [f"{each}: has no value; give it one with {each}=VALUE" for each in missing]
        return cls(name, arguments)

    def document(self) -> dict[str, Any]:
        """Returns the form that `parse` reads."""
        return {KEY: self.name, **self.arguments}

    @property
    def file(self) -> Path | None:
        """The user's file; None for a function of a module."""
        place = self.name.rpartition(":")[0]
        return Path(place) if place else None

    def at(self, file: Path) -> "Target":
        """Returns the same function of a copy of its file."""
        return replace(self, name=f"{file}:{self.name.rpartition(':')[2]}")

    def load(self, key: str, source: str | None = None) -> Callable[..., Any]:
        """Imports the function and returns it with its arguments filled in.

        `key`: the dotted name of the setting, such as reward.terms.near_ball, which messages name. `source`: the text
        of the file, which is then not read. Raises ValueError if the file or module cannot be imported, or has no
        function or class of that name."""
        where = f"{key}.{KEY}={self.name}"
        place, _, attribute = self.name.rpartition(":" if self.file else ".")
        try:
            if source is not None:
                module = _from_text(Path(place), source)
            else:
                module = _load_file(Path(place)) if self.file else importlib.import_module(place)
        except (Exception, SystemExit) as error:  # a user's file may raise anything
            reason = " ".join(str(error).split()) or "no reason given"
            raise ValueError(f"{where}: cannot be imported: {type(error).__name__}: {reason}") from error
        function = getattr(module, attribute, None)
        if not callable(function):
            raise ValueError(f"{where}: there is no function {attribute} in {module.__name__}")
        return functools.partial(function, **self.arguments) if self.arguments else function


def is_file(value: Any) -> bool:
    """Whether `value` is path/to/file.py:function."""
    return isinstance(value, str) and re.fullmatch(r".+\.py:\w+", value) is not None


def call(label: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a part of the user's own. Raises PartError, which begins with `label`, if it raises anything."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:  # anything may happen in a user's function
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PartError(f"{label} fails: {reason}{_line_of(error)}") from error


def _line_of(error: BaseException) -> str:
    """Returns the last line of the user's own that led to `error`, as " (FILE, line N)"; empty if there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")][1:]
    frames = [frame for frame in frames if "site-packages" not in Path(frame.filename).parts] or frames
    own = [frame for frame in frames if Path(frames[0].filename).parent in Path(frame.filename).parents]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _load_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return _module(path, path.read_bytes())


@functools.lru_cache
def _module(path: Path, content: bytes) -> Any:
    """`content` is there so that a file that has changed is loaded again."""
    name = f"_rlbot_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import does: dataclasses and pickle look it up there
    if str(path.parent) not in sys.path:  # as for a script: the file may import files beside it, at any time
        sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


@functools.lru_cache
def _from_text(path: Path, source: str) -> Any:
    module = types.ModuleType(f"_rlbot_user_{path.stem}")
    exec(compile(source, path.name, "exec"), module.__dict__)
    return module
