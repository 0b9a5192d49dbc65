"""Reward terms that are no functions of the two states are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.env import BatchEnv, Rules
from rlbot.env.purity import check_purity
from rlbot.reward import Reward, Term
from rlbot.settings.command import compose
from rlbot.training.build import build
from rlbot.training.preflight import preflight


def speed(before: Any, after: Any) -> NDArray[np.float32]:
    return np.linalg.norm(after.ball_vel - before.ball_vel, axis=-1, keepdims=True) * after.present


class Last:
    """Compares the ball's height with that of the last call, as a term with a global does."""

    height: Any = 0.0

    def __call__(self, before: Any, after: Any) -> NDArray[np.float32]:
        change = after.ball_pos[:, 2:] - (self.height if np.shape(self.height) == (len(after), 1) else 0.0)
        self.height = after.ball_pos[:, 2:].copy()
        return change * after.present


def relative(before: Any, after: Any) -> NDArray[np.float32]:
    return (after.ball_pos[:, :1] - after.ball_pos[:, 0].mean()) * after.present


def noisy(before: Any, after: Any) -> NDArray[np.float32]:
    return np.random.default_rng().random(after.present.shape) * after.present


def test_a_start_refuses_them(tmp_path: Path) -> None:
    code = (
        "def mine(before, after):\n    return (after.ball_pos[:, :1] - after.ball_pos[:, 0].mean()) * after.present\n"
    )
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    term = f"+reward.terms.mine={{_target_: '{(tmp_path / 'mine.py').as_posix()}:mine', weight: 1}}"
    config = compose(["experiment=debug", "env.workers=0", term])
    with pytest.raises(ValueError, match=r"reward\.terms\.mine \(.*mine\.py:mine\): what it gives an arena depends"):
        list(preflight(config, build(config, print)))


@pytest.mark.parametrize("teams", [[(1, 1)], [(1, 1), (1, 2), (2, 2)]])
def test_terms_that_keep_state_or_look_over_the_arenas_are_named(teams: list[tuple[int, int]]) -> None:
    def check(function: Any) -> None:
        terms = [Term("fine", 1.0, speed), Term("mine", 1.0, function, "mine.py:mine")]
        check_purity(BatchEnv(teams, Reward(terms), {"anywhere": 1.0}, Rules()))

    check(speed)
    for wrong, told in (
        (Last(), "when it is called again"),
        (noisy, "when it is called again"),
        (relative, "beside it"),
    ):
        with pytest.raises(ValueError, match=rf"reward\.terms\.mine \(mine\.py:mine\): .*{told}"):
            check(wrong)
