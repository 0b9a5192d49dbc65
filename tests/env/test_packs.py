"""Starts from training packs: a file of the format, and the one that rlgym-tools ships."""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot.env.own_reset import OwnReset
from rlbot.env.packs import _shots, shot

CAR = {"position": [100.0, 2000.0, 17.0], "linear_velocity": [0.0, 10.0, 0.0], "euler_angles": [0.1, 1.5, 0.2]}
BALL = {"position": [0.0, 4800.0, 93.0], "linear_velocity": [50.0, 0.0, 0.0], "euler_angles": [0.0, 0.0, 0.0]}


def pack(**changes: Any) -> str:
    return json.dumps({"shots": [{"time_limit": 10.0, "ball": BALL, "car": CAR} | changes]}) + "\n"


def test_the_shot_is_for_either_team_and_the_others_keep_their_goals(tmp_path: Path) -> None:
    file = tmp_path / "packs.jsonl.gz"
    far = pack(ball={**BALL, "position": [0.0, 9000.0, 93.0]})  # of another field
    file.write_bytes(gzip.compress((pack() + far).encode()))
    rng = np.random.default_rng(0)
    reset = OwnReset(1.0, lambda generator, teams: shot(generator, teams, str(file)), "packs")
    seen = set()
    for _ in range(20):
        start = reset.draw(rng, (1, 2))
        turned = start.ball_pos[1] < 0
        seen.add(turned)
        shooter, *others = [*start.cars[1:], start.cars[0]] if turned else start.cars
        sign = -1 if turned else 1
        assert shooter.pos == (sign * 100, sign * 2000, 17) and (shooter.pitch, shooter.roll) == (0.1, 0.2)
        assert shooter.boost == 100 and np.cos(shooter.yaw) == pytest.approx(sign * np.cos(1.5))
        keepers = {other.pos[0] * sign: other.pos[1] * sign for other in others}
        assert keepers == ({0.0: -4900, 400.0: 4900} if turned else {400.0: 4900, -400.0: 4900}), "not in the ball"
    assert seen == {True, False}
    assert reset.draw(rng, (0, 1)).ball_pos == (0, -4800, 93) and len(reset.draw(rng, (1, 0)).cars) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("", "holds no shots"),
        ("{}", "holds no training packs: KeyError: 'shots'"),
        ("{", "holds no"),
    ],
)
def test_a_file_of_something_else_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "packs.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        shot(np.random.default_rng(), (1, 1), str(file))


@pytest.mark.skipif(find_spec("rlgym_tools") is None, reason="needs the package rlgym-tools")
def test_the_packs_that_rlgym_tools_ships() -> None:
    assert len(_shots(None)) > 5400
    reset, rng = OwnReset(1.0, shot, "packs"), np.random.default_rng(0)
    assert all(reset.draw(rng, sizes) for sizes in ((1, 1), (2, 2), (3, 3), (1, 0), (0, 1)) for _ in range(500))
