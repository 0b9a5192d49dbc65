"""What is checked before a run trains, and how little of it there has to be."""

from pathlib import Path

import pytest

from rlbot.settings.command import compose
from rlbot.sim import Arenas
from rlbot.training.build import build
from rlbot.training.preflight import preflight

MANY = ["experiment=debug", "env.num_envs=200", "learner.batch_size=8192", "env.workers=0", "hardware=cpu"]


def test_one_arena_of_each_team_size_is_made_however_many_the_run_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    init = Arenas.__init__

    def counting(self: Arenas, team_sizes: list[tuple[int, int]], *arguments: int) -> None:
        made.extend(team_sizes)
        init(self, team_sizes, *arguments)

    monkeypatch.setattr(Arenas, "__init__", counting)
    config = compose(MANY)
    lines = list(preflight(config, build(config, print)))
    # of the three stages of the recipe, and two of the last that are stepped together
    assert made == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (2, 2)]
    assert any("stage outnumbered: one arena of each size, 1v2, 2v1, 6 cars" in line for line in lines)


def test_a_term_that_is_not_finite_in_one_stage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def mine(before, after):\n    return after.present * float('nan')\n", encoding="utf-8")
    term = f"+reward.terms.mine={{_target_: '{file.as_posix()}:mine', weight: 0}}"
    config = compose([*MANY, term, "+curriculum.stages.outnumbered.reward.mine=1"])
    with pytest.raises(ValueError, match=r"reward\.terms\.mine .*: NaN or infinity in .*stages\.outnumbered"):
        list(preflight(config, build(config, print)))
