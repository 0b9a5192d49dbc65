"""A run that is resumed: the command line means its checkpoint's settings, changed; and where the run may write."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlbot.run import RunDirectory, save_checkpoint
from rlbot.settings import command
from rlbot.settings.command import Guard, compose
from rlbot.settings.document import document
from rlbot.settings.schema import TrainConfig

FOUR_STAGES = """
pool_size: 4
draw: uniform
stages:
  a: {until: 100, teams: {1v1: 1}, opponent: self, reward: {}, reset: {}}
  b: {until: 200, teams: {1v1: 1}, opponent: {self: 0.5, idle: 0.5}, reward: {}, reset: {}}
  c: {until: 300, teams: {1v1: 1}, opponent: self, reward: {}, reset: {}}
  d: {until: null, teams: {1v1: 1}, opponent: self, reward: {}, reset: {}}
"""
OWN = "{_target_: 'mine.py:own', weight: 1, reach: 5}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in {"root": None, "made": None, "own": False, "multirun": False, "resume": None}.items():
        monkeypatch.setattr(Guard, name, value)
    (tmp_path / "conf/curriculum").mkdir(parents=True)
    (tmp_path / "conf/curriculum/mine.yaml").write_text(FOUR_STAGES, encoding="utf-8")
    return tmp_path


def written(path: Path, *overrides: str) -> Path:
    """A run that was started with these settings and has one checkpoint."""
    run = RunDirectory(path)
    settings = document(compose(overrides))
    save_checkpoint(run.checkpoints, 10, {"model": {"w": torch.zeros(2)}}, {"config": settings}, run_id=run.run_id)
    return run.path


Start = Callable[..., "tuple[TrainConfig, Path] | str"]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Start:
    """Returns the settings and the directory of a command line, or its error message."""

    def run(*arguments: str) -> tuple[TrainConfig, Path] | str:
        found: list[tuple[TrainConfig, Path]] = []
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        capsys.readouterr()
        try:
            command.run(lambda config, directory: found.append((config, directory)), "train")
        except SystemExit:
            return capsys.readouterr().err
        return found[0]

    return run


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_line_is_checked_with_the_settings_of_the_checkpoint(folder: Path, start: Start) -> None:
    run = written(folder / "run", "learner.batch_size=200_000", "learner.minibatch_size=50_000", "env.num_envs=2000")
    told = start(f"resume={run}", "learner.batch_size=40_000")
    assert told == "[ERROR] learner.minibatch_size=50000: must be at most learner.batch_size=40000\n"
    assert "[ERROR] learner.batch_size=3000: must be at least 4000, one step of env.num_envs=2000" in start(
        "resume=run", "learner.batch_size=3000", "learner.minibatch_size=3000"
    )
    assert not (folder / "outputs").exists()
    found = start("resume=run", "learner.batch_size=100_000", "hardware=cpu")
    assert not isinstance(found, str)
    config, directory = found
    assert (config.learner.batch_size, config.learner.minibatch_size, config.env.num_envs) == (100_000, 50_000, 2000)
    assert config.hardware.device == "cpu" and config.resume == str(run).replace("\\", "/") and directory == run
    assert not (folder / "outputs").exists() and not (run / ".hydra").exists()


def test_stages_and_terms_that_only_the_checkpoint_has_can_be_changed(folder: Path, start: Start) -> None:
    run = RunDirectory(folder / "run")
    found = start("--config-dir=conf", "curriculum=mine", f"+reward.terms.own={OWN}", "~reward.terms.demo", "seed=5")
    assert not isinstance(found, str)
    save_checkpoint(run.checkpoints, 10, {}, {"config": document(found[0])}, run_id=run.run_id)
    for again in ("~reward.terms.demo", f"+reward.terms.own={OWN.replace('weight: 1, reach: 5', 'weight: 3')}"):
        found = start("resume=run", "curriculum.stages.c.until=500", "reward.terms.own.weight=2", again)
        assert not isinstance(found, str), found
        config = found[0]
        assert [stage.until for stage in config.curriculum.stages.values()] == [100, 200, 500, None]
        assert "demo" not in config.reward.terms and config.seed == 5
    assert config.reward.terms["own"].target.arguments == {}, "named again, it is replaced"
    found = start("resume=run", "curriculum.stages.a.opponent={past: 0.25, idle: 0.75}")
    assert not isinstance(found, str) and found[0].reward.terms["own"].target.arguments == {"reach": 5}
    stages = found[0].curriculum.stages
    assert stages["a"].opponent.shares == {"past": 0.25, "idle": 0.75}
    assert stages["b"].opponent.shares == {"self": 0.5, "idle": 0.5}
    assert "[ERROR] curriculum.stages.b.until=90: must be above the 100" in start(
        "resume=run", "curriculum.stages.b.until=90"
    )
    named = start("resume=run", "curriculum=duel", "reward=touch")
    assert not isinstance(named, str) and len(named[0].curriculum.stages) == 2 and "own" not in named[0].reward.terms
    recipe = start("resume=run", "experiment=quickstart")
    assert not isinstance(recipe, str) and recipe[0].seed == 0  # the whole command line counts


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (".", "holds conf and is not the run to resume"),
        ("outputs", "holds old and is not the run to resume"),
        ("mine", "holds notes.txt and is not the run to resume"),
        ("other", "holds a run; resume=other continues it"),
        ("mine/notes.txt", "is a file; name a folder"),
    ],
)
def test_a_run_goes_on_in_a_new_folder_or_its_own_and_nothing_is_deleted(
    where: str, told: str, folder: Path, start: Start
) -> None:
    for name in ("run", "other", "outputs/old"):
        written(folder / name)
    (folder / "mine").mkdir()
    (folder / "mine/notes.txt").write_text("keep")
    before = listing(folder)
    line = start("resume=run", f"hydra.run.dir={where}")
    assert isinstance(line, str) and line.startswith(f"[ERROR] hydra.run.dir={where}: {told}"), line
    assert listing(folder) == before
    assert start("resume=run", "hydra.run.dir=run")[1] == folder / "run"
    assert start("resume=run", "hydra.run.dir=new/place")[1] == folder / "new/place"
    added = {name for name in listing(folder) if name not in before}
    assert added == {str(Path("new/place/.hydra", f"{name}.yaml")) for name in ("config", "hydra", "overrides")}


def test_a_new_run_does_not_begin_where_files_of_its_names_lie(folder: Path, start: Start) -> None:
    written(folder / "run")
    (folder / "mine").mkdir()
    (folder / "mine/result.json").write_text("{}")
    before = listing(folder)
    assert "hydra.run.dir=run: holds a run; resume=run continues it" in start("hydra.run.dir=run")
    assert "hydra.run.dir=mine: holds result.json, which a run would overwrite" in start("hydra.run.dir=mine")
    assert listing(folder) == before
    shutil.rmtree(folder / "run/checkpoints")  # a start that ended before it had anything to lose
    assert start("hydra.run.dir=run")[1] == folder / "run"


def test_what_is_found_while_building_takes_back_only_what_this_start_made(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(config: TrainConfig, directory: Path) -> None:
        RunDirectory(directory).log_file.write_text("a line")
        (directory / "of somebody else.txt").write_text("keep")
        raise command.ConfigError("seed=1: cannot be had")

    monkeypatch.setattr(sys, "argv", ["program", "hydra.run.dir=new"])
    with pytest.raises(SystemExit):
        command.run(main, "train")
    assert listing(folder / "new") == {"of somebody else.txt": b"keep"}


@pytest.mark.parametrize("value", ["broken", "list"])
def test_settings_of_a_checkpoint_that_cannot_be_read_are_told(value: str, folder: Path, start: Start) -> None:
    run = RunDirectory(folder / "run")
    content = {"broken": {"env": 3}, "list": [1]}[value]
    save_checkpoint(run.checkpoints, 10, {}, {"config": content}, run_id=run.run_id)
    line = start("resume=run")
    assert isinstance(line, str) and line.startswith("[ERROR] resume") and "cannot be read" in line
    assert not (folder / "outputs").exists()


def test_the_settings_of_a_resumed_run_can_be_shown(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(folder / "run", "seed=77")
    monkeypatch.setattr(sys, "argv", ["program", "resume=run", "--cfg", "job"])
    command.run(lambda config, directory: None, "train")
    assert "seed: 77" in capsys.readouterr().out


def test_jobs_of_a_sweep_go_on_from_a_run_in_their_own_directories(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(folder / "run", "seed=5", "learner.batch_size=200_000", "learner.minibatch_size=50_000")
    before = listing(run)
    found: list[tuple[TrainConfig, Path]] = []
    sweep = ["-m", "resume=run", "learner.batch_size=100_000,40_000,60_000", "hydra.sweep.dir=sweep"]
    monkeypatch.setattr(sys, "argv", ["program", *sweep])
    with pytest.raises(SystemExit):
        command.run(lambda config, directory: found.append((config, directory)), "train")
    assert "job 1 (resume=run learner.batch_size=40000): learner.minibatch_size=50000: must be at most" in (
        capsys.readouterr().err
    )
    settings = [(config.seed, config.learner.batch_size, directory) for config, directory in found]
    assert settings == [(5, 100_000, folder / "sweep/0"), (5, 60_000, folder / "sweep/2")]
    assert not (folder / "sweep/1").exists() and listing(run) == before
