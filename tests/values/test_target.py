"""A function or class that the settings name: read, loaded, and called so that its errors say where they come from."""

from pathlib import Path
from typing import Any

import pytest

from rlbot.values.convert import Converter
from rlbot.values.target import Target, call

CODE = """import random

class Bot:
    def __init__(self, name):
        self.name = name

def add(one, two=0):
    return one + two

def fails(chosen):
    return random.choice(chosen)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "parts.py").write_text(CODE, encoding="utf-8")
    return tmp_path / "parts.py"


def parsed(value: Any, *others: str) -> tuple[Target | None, list[str]]:
    converter = Converter(str)
    return Target.parse(value, "part", converter, others), converter.problems


def test_it_is_read_and_written_in_the_form_of_the_files() -> None:
    target, problems = parsed({"_target_": "dir/mine.py:add", "two": 3, "share": 1}, "share")
    assert target == Target("dir/mine.py:add", {"two": 3}) and problems == []
    assert target.document() == {"_target_": "dir/mine.py:add", "two": 3}
    assert target.file == Path("dir/mine.py") and target.at(Path("b.py")).name == "b.py:add"
    assert Target("package.module.add", {}).file is None


def test_a_bare_file_is_told_how_it_is_written() -> None:
    message = "part=mine.py:add: a part of your own is written as part={_target_: 'mine.py:add'}"
    assert parsed("mine.py:add") == (None, [message])


@pytest.mark.parametrize("value", ["add", {"two": 3}, {"_target_": "add"}, {"_target_": 3}, None])
def test_what_is_no_target_is_told(value: Any) -> None:
    assert parsed(value)[0] is None and "must be module.function or path/to/file.py:function" in parsed(value)[1][0]


def test_a_function_and_a_class_are_loaded_with_their_arguments(file: Path) -> None:
    assert Target(f"{file}:add", {"two": 3}).load("part")(1) == 4
    assert Target(f"{file}:Bot", {"name": "Ann"}).load("part")().name == "Ann"
    assert Target("os.path.basename", {}).load("part")("a/b") == "b"


def test_a_file_is_loaded_once_and_again_when_it_has_changed(file: Path) -> None:
    target = Target(f"{file}:add", {})
    assert target.load("part") is target.load("part")
    file.write_text(CODE.replace("one + two", "one - two"), encoding="utf-8")
    assert target.load("part")(1, 2) == -1


def test_an_error_in_it_names_the_part_and_the_users_own_line(file: Path) -> None:
    with pytest.raises(ValueError, match=r"^part fails: IndexError: .* \(parts\.py, line 11\)$"):
        call("part", Target(f"{file}:fails", {}).load("part"), [])
    with pytest.raises(
        ValueError, match=r"^part fails: TypeError: add\(\) got an unexpected keyword argument 'three'$"
    ):
        call("part", Target(f"{file}:add", {"three": 3}).load("part"), 1)
