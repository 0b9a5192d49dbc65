"""What becomes of an iteration with numbers that are not finite: lines, files, and the end of the run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlbot.env.nonfinite import NonFinite, NonFiniteCount, NonFiniteCounts
from rlbot.training.nan_guard import MAX_FILES, BadUpdates, NanGuard

UPDATE = NonFinite("loss/value (returns not finite)", {}, {"returns": np.array([np.inf], np.float32)})


def faults(count: int, *, name: str = "reward.terms.mine", arena: int = 3) -> NonFiniteCounts:
    place = {"arena": arena, "step_of_rollout": 17}
    return {name: NonFiniteCount(count, NonFinite(name, place, {"controls": np.ones((2, 8), np.float32)}))}


def test_bad_iterations_are_counted_in_a_row(tmp_path: Path) -> None:
    nan_guard = NanGuard(tmp_path / "bad", 2, lambda line: None)
    assert nan_guard.is_good(100, 100, {}, None)
    assert nan_guard.is_good(200, 100, faults(10), None)  # a tenth of the steps is still allowed
    assert not nan_guard.is_good(300, 100, faults(11), None)
    assert nan_guard.is_good(400, 100, {}, None)
    assert not nan_guard.is_good(500, 100, {}, UPDATE)
    with pytest.raises(BadUpdates) as stop:
        nan_guard.is_good(600, 100, {**faults(4, name="a"), **faults(96, name="reward.terms.mine (my.py:f)")}, None)
    where = tmp_path / "bad" / "step_000000600-arena_3-step_17.npz"
    assert str(stop.value) == (
        f"2 bad updates in a row: reward.terms.mine (my.py:f) was not finite in 96% of the steps; see {where}"
    )


def test_a_line_and_a_file_for_each_cause(tmp_path: Path) -> None:
    lines: list[str] = []
    nan_guard = NanGuard(tmp_path / "bad", 100, lines.append)
    nan_guard.is_good(100, 100, {}, None)
    assert not (tmp_path / "bad").exists() and not lines
    nan_guard.is_good(2560, 100, {**faults(2, name="a"), **faults(1, name="b", arena=4)}, UPDATE)
    kept = sorted(path.name for path in (tmp_path / "bad").iterdir())
    step = "step_000002560"
    assert kept == [f"{step}-arena_3-step_17.npz", f"{step}-arena_4-step_17.npz", f"{step}-update.npz"]
    assert lines == [
        f"3 arenas were reset because a number was not finite: 2 x a, 1 x b; see {tmp_path / 'bad' / kept[1]}",
        f"Gradient steps were not taken because a number was not finite: {UPDATE.name}; "
        f"see {tmp_path / 'bad' / kept[2]}",
    ]
    loaded = NonFinite.load(tmp_path / "bad" / kept[2])
    assert (loaded.name, dict(loaded.place)) == (UPDATE.name, {}) and np.isinf(loaded.arrays["returns"]).all()


def test_the_files_of_a_run_are_few_however_often_it_is_resumed(tmp_path: Path) -> None:
    lines: list[str] = []
    for start in (0, 1000):
        nan_guard = NanGuard(tmp_path, 1000, lines.append)
        for timesteps in range(start, start + MAX_FILES - 3):
            nan_guard.is_good(timesteps, 10, faults(1), None)
    assert len(list(tmp_path.iterdir())) == MAX_FILES and len(lines) == 2 * (MAX_FILES - 3)


def test_a_folder_that_cannot_be_written_is_told_and_does_not_stop_anything(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("a file", encoding="utf-8")
    lines: list[str] = []
    assert NanGuard(tmp_path / "bad", 2, lines.append).is_good(100, 100, faults(1), None)
    assert len(lines) == 2 and "cannot be written" in lines[0] and "see" not in lines[1]


def test_weights_that_are_not_finite_are_named() -> None:
    nan_guard = NanGuard(None, 1, print)
    weights = {"a": torch.zeros(3), "b": torch.ones(2, 2)}
    nan_guard.check_weights(weights)
    weights["b"][1, 0] = torch.nan
    with pytest.raises(BadUpdates, match="the weights of b are not finite and were not saved"):
        nan_guard.check_weights(weights)
