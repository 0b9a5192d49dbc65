"""Reward files of the user's: found again from any folder, copied into the run, and used as they are now."""

import json
from pathlib import Path

import pytest

from rlbot.settings.command import compose
from rlbot.settings.schema import TrainConfig
from rlbot.training.build_env import make_reward
from rlbot.training.user_files import absolute, keep, locate, with_neighbours

REWARDS = """
import math
from mine import levels
from package.deep import one, two

def height(before, after):
    import late
    return after.present * levels.LEVEL
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a training is started in, with a reward file and what it imports."""
    files = {
        "rewards.py": REWARDS,
        "mine/__init__.py": "",
        "mine/levels.py": "import other\nLEVEL = 3",
        "package/deep.py": "one = two = 1",
        "other.py": "",
        "late.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def config(*overrides: str) -> TrainConfig:
    return compose(["+reward.terms.height={_target_: 'rewards.py:height', weight: 1}", *overrides])


def name_of(settings: TrainConfig, term: str = "height") -> str:
    target = settings.reward.terms[term].target
    assert target is not None
    return target.name


def test_settings_mean_the_same_from_any_folder(folder: Path) -> None:
    (folder / "bot").mkdir()
    settings = absolute(config("+curriculum.stages.duel.opponent={bot: 1, random: 1}"))
    assert name_of(settings) == f"{folder / 'rewards.py'}:height"
    assert settings.reward.terms["goal"].target is None
    assert {str(folder / "bot"), "random"} <= set(settings.curriculum.stages["duel"].opponent.shares)
    assert absolute(settings) == settings


def test_a_file_and_what_it_imports_beside_it(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in with_neighbours(folder / "rewards.py")}
    assert names == {"rewards.py", "mine/__init__.py", "mine/levels.py", "package/deep.py", "other.py", "late.py"}


def test_a_run_goes_on_with_its_copy_where_the_file_is_gone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, code = absolute(config()), tmp_path / "run/code"
    line = keep(settings, code, 0)
    assert line is not None and line.startswith(f"Your own files copied to {code / 'step_000000000'}: rewards.py, ")
    assert keep(settings, code, 500) is None and locate(settings, code, 500) == (settings, [])
    folder.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    played, (line,) = locate(settings, code, 500)
    copy = code / "step_000000000/rewards.py"
    assert str(folder / "rewards.py") in line and "is not there" in line and str(copy) in line
    assert name_of(played) == f"{copy}:height"
    assert name_of(settings) == f"{folder / 'rewards.py'}:height"  # what is saved
    make_reward(played.reward)  # with the files beside it
    assert keep(settings, code, 500) is None
    with pytest.raises(ValueError, match=r"reward\.terms\.height\._target_=.*no file"):
        make_reward(settings.reward)


def test_a_file_that_has_changed_is_used_as_it_is_now_and_both_are_kept(folder: Path, tmp_path: Path) -> None:
    settings, code = absolute(config()), tmp_path / "run/code"
    keep(settings, code, 0)
    (folder / "rewards.py").write_text(REWARDS.replace("LEVEL", "LEVEL * 2"), encoding="utf-8")
    played, (line,) = locate(settings, code, 500)
    assert played == settings and "has changed" in line and str(code / "step_000000000/rewards.py") in line
    assert keep(settings, code, 500) is not None
    assert (code / "step_000000000/rewards.py").read_text() == REWARDS
    assert "LEVEL * 2" in (code / "step_000000500/rewards.py").read_text()
    assert locate(settings, code, 500) == (settings, [])
    assert len(locate(settings, code, 499)[1]) == 1  # from an earlier checkpoint it is the earlier one
    (folder / "mine/levels.py").write_text("LEVEL = 4", encoding="utf-8")
    assert keep(settings, code, 500) is not None  # a neighbour
    assert sorted(path.name for path in code.iterdir()) == [
        "step_000000000", "step_000000500", "step_000000500-2"
    ]  # fmt: skip


def test_files_of_one_name_from_two_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text("def low(before, after): return after.present * 0.5", encoding="utf-8")
    settings = absolute(config(f"+reward.terms.low={{_target_: '{tmp_path.as_posix()}/rewards.py:low', weight: 1}}"))
    keep(settings, tmp_path / "code", 0)
    index = json.loads((tmp_path / "code/step_000000000/files.json").read_text())
    copies = {index[str(tmp_path / "rewards.py")], index[str(folder / "rewards.py")]}
    assert copies == {"rewards.py", "1/rewards.py"}
    (tmp_path / "rewards.py").unlink()
    played, _ = locate(settings, tmp_path / "code", 0)
    assert Path(name_of(played, "low").rpartition(":")[0]).read_text().startswith("def low")


def test_runs_without_reward_files_copy_nothing(folder: Path, tmp_path: Path) -> None:
    settings = absolute(compose(["+reward.terms.own={_target_: package.module.function, weight: 1}"]))
    assert keep(settings, tmp_path / "code", 0) is None and not (tmp_path / "code").exists()
    assert locate(settings, tmp_path / "code", 0) == (settings, [])
