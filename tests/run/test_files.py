import json
import math

import numpy as np
import pytest

from rlbot.run.files import from_json, to_json, write_atomic


def test_generator_state_of_128_bits_continues_exactly():
    generator = np.random.default_rng(3)
    generator.random(5)
    state = generator.bit_generator.state
    assert state["state"]["state"] > 2**100

    copy = np.random.default_rng()
    copy.bit_generator.state = from_json(to_json(state))

    assert copy.random(100).tolist() == generator.random(100).tolist()


def test_floats_and_special_values_come_back_exactly():
    values = [
        0.1,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        math.inf,
        -math.inf,
        2**200,
        True,
        None,
        "\ud800 \u00e9",
    ]
    back = from_json(to_json({"values": values}))["values"]
    assert back == values
    assert [type(value) for value in back] == [type(value) for value in values]
    assert math.copysign(1.0, back[1]) == -1.0
    assert math.isnan(from_json(to_json(math.nan)))


def test_output_is_standard_ascii_json_without_nan():
    data = to_json({"score": math.nan, "name": "\u00e9"})
    data.decode("ascii")
    refuse = {"parse_constant": lambda token: pytest.fail(f"{token} is not JSON")}
    assert json.loads(data, **refuse) == {"score": {"$float": "nan"}, "name": "\u00e9"}


def test_numpy_scalars_and_tuples_become_plain_values():
    document = {"a": np.int64(2**62), "b": np.float32(0.1), "c": np.bool_(True), "d": (1, 2)}
    assert from_json(to_json(document)) == {"a": 2**62, "b": float(np.float32(0.1)), "c": True, "d": [1, 2]}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": [0, {1: "x"}]}, r"document\.a\[1\]: key 1 "),
        ({"a": np.zeros(3)}, r"document\.a: a ndarray"),
        ({"a": {1, 2}}, r"document\.a: a set"),
        ({"$float": "nan"}, r"key '\$float'"),
    ],
)
def test_what_would_not_survive_is_refused(value, named):
    with pytest.raises(ValueError, match=named):
        to_json(value)


def test_write_atomic_replaces_and_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "a.json", b"old")
    write_atomic(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomic(tmp_path / "folder", b"cannot replace a directory")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.json", "folder"]
