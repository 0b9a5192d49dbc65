"""Every setting of the schema, given everything that it may not be: taken as it is, or refused by its name."""

import copy
import math
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbot.settings.command import compose
from rlbot.settings.document import document, load_document
from rlbot.settings.errors import ConfigError
from rlbot.settings.schema import ROOTS

Path = tuple[str | int, ...]

VALUES: list[Any] = [
    None, True, 0, 1, -1, 10**400, 1.5, -0.5, 1e300, math.nan, math.inf, -math.inf,
    "", " ", "text", "x" * 10_000, "a\nb", "\x1b[31m", "\u0141", "\U0001f600", "\u202e", "\udcff", "???", "~nobody/run",
    [], [None], [[1]], ["text"], {}, {"a": 1}, {1: 2}, {None: 1}, {"_target_": "os.system"}, {"a": {"b": "???"}},
]  # fmt: skip


@pytest.fixture(scope="module", params=list(ROOTS))
def root(request: pytest.FixtureRequest) -> tuple[type, dict[str, Any]]:
    """The type of a command's settings, and their values as its files give them."""
    kind = ROOTS[request.param]
    return kind, document(compose([], request.param))


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where a value stands: every group, setting and first item of a list."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from places(inner, (*path, name))


def at(tree: Any, path: Path) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def changed(tree: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(tree)
    at(tree, path[:-1])[path[-1]] = value
    return tree


def refused(kind: Any, tree: dict[str, Any]) -> ConfigError | None:
    """The error, which is short whatever was given."""
    try:
        load_document(tree, kind)
    except ConfigError as error:
        return short(error)
    return None


def short(error: ConfigError) -> ConfigError:
    assert 1 <= len(str(error).splitlines()) <= 3
    assert all(len(problem.splitlines()) == 1 and problem.isprintable() for problem in error.problems)
    return error


def answer(kind: Any, tree: dict[str, Any], path: Path) -> tuple[str, ...]:
    """Returns the reported problems; if there are none, checks that the value is the given one."""
    if error := refused(kind, tree):
        named = str(path[-1]), ".".join(map(str, path[:-1]))
        assert any(name in problem for problem in error.problems for name in named)
        return error.problems
    taken, given = at(document(load_document(tree, kind)), path), at(tree, path)
    if isinstance(given, dict) and path[-1] == "opponent" and "stages" in path:
        taken = [{name: each for name, each in own.items() if name != "share"} for own in taken.values()]
        assert taken == [given]  # a player of the user's own, with its share
        return ()
    assert taken == given or taken == str(given) or taken == {given: 1.0}  # a number as text; an opponent's name
    return ()


def test_every_setting_given_everything(root: tuple[type, dict[str, Any]]) -> None:
    kind, tree = root
    inherited = {} if kind is ROOTS["train"] else get_type_hints(kind.__base__)  # given everything there already
    everywhere = [path for path in places(tree) if path[0] not in inherited]
    assert len(everywhere) >= 4
    for path in everywhere:
        count = sum(bool(answer(kind, changed(tree, path, value), path)) for value in VALUES)
        assert count >= 8, path  # no setting takes just anything


def test_every_setting_misspelt_and_missing(root: tuple[type, dict[str, Any]]) -> None:
    kind, tree = root
    for path in places(tree):
        name = path[-1]
        mapping = {"terms", "reset", "teams", "opponent"} & set(path[:-1]) or "reward" in path[1:-1]
        if isinstance(name, int) or mapping or path[-2:-1] == ("stages",):
            continue  # names of the user's own
        dotted = ".".join(map(str, path))
        wrong = (*path[:-1], f"{name}s")
        told = answer(kind, changed(tree, wrong, at(tree, path)), wrong)
        assert any(line.startswith(f"{dotted}s: no such setting; did you mean") for line in told), told
        less = copy.deepcopy(tree)
        del at(less, path[:-1])[name]
        assert f"{dotted}: is missing" in answer(kind, less, path)


TREES = {name: document(compose([], name)) for name in ROOTS}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_subnormal=False)
    | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.data(), st.sampled_from(list(ROOTS)), ANYTHING)
def test_any_setting_given_anything(data: st.DataObject, name: str, value: Any) -> None:
    path = data.draw(st.sampled_from(list(places(TREES[name]))))
    refused(ROOTS[name], changed(TREES[name], path, value))


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.sampled_from(["seed", "learner.gamma", "reward.terms.touch", "resume", "env", ""]), st.text(max_size=20))
def test_any_text_on_the_command_line(name: str, text: str) -> None:
    try:
        compose([f"{name}={text}"])
    except ConfigError as error:
        short(error)
