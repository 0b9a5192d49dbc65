import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import rlbot.run.directory as directory_module
from rlbot.run.checkpoint import prune_checkpoints, save_checkpoint
from rlbot.run.directory import RunDirectory, describe_machine, point_latest, resolve_resume


def start_run(path, *steps):
    run = RunDirectory(path)
    for timesteps in steps:
        save_checkpoint(run.checkpoints, timesteps, {"model": {"w": torch.zeros(2)}}, {}, run_id=run.run_id)
    return run


def test_a_run_directory_is_made_and_opened_again_with_the_same_id(tmp_path):
    run = RunDirectory(tmp_path / "outputs" / "a")
    assert run.checkpoints.is_dir()
    assert run.tensorboard.is_dir()
    run.write_run_json({"user": "first", "host": "h1"})
    again = RunDirectory(run.path)
    assert again.run_id == run.run_id
    again.write_run_json({"user": "second", "host": "h2"})
    third = RunDirectory(run.path)
    (run.path / ".ratings.json-0123abcd").write_text("half")  # of a process that was killed
    (run.path / ".mine.json-0123abcd").write_text("somebody's")
    third.write_run_json({"user": "third"})
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".mine.json-0123abcd", "checkpoints", "run.json", "tensorboard"
    ]  # fmt: skip
    assert json.loads(run.run_file.read_text()) == {
        "user": "third",
        "run_id": run.run_id,
        "previous": [
            {"user": "first", "host": "h1", "run_id": run.run_id},
            {"user": "second", "host": "h2", "run_id": run.run_id},
        ],
    }
    assert RunDirectory(tmp_path / "outputs" / "b").run_id != run.run_id


def test_an_unreadable_run_json_is_set_aside(tmp_path):
    run = RunDirectory(tmp_path)
    run.run_file.write_text('{"run_id": "../..')
    again = RunDirectory(tmp_path)
    assert again.run_id != run.run_id
    assert again.run_id.isalnum()
    assert (tmp_path / "run.broken.json").read_text() == '{"run_id": "../..'


def test_a_run_directory_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"run directory .*file.run cannot be created.*\n.*hydra\.run\.dir"):
        RunDirectory(tmp_path / "file" / "run")


def test_resume_latest_takes_the_newest_sound_checkpoint(tmp_path):
    start_run(tmp_path / "a", 10)
    run = start_run(tmp_path / "b", 10, 20, 30)
    (run.checkpoints / "step_000000030" / "model.safetensors").write_bytes(b"")
    assert point_latest(tmp_path, tmp_path / "a") is None
    assert point_latest(tmp_path, run.path) is None
    found = resolve_resume("latest", tmp_path)
    assert found.checkpoint == run.checkpoints / "step_000000020"
    assert found.run == run.path
    assert len(found.warnings) == 1
    assert "step_000000030" in found.warnings[0]


def test_latest_falls_back_to_a_text_file(tmp_path, monkeypatch):
    run = start_run(tmp_path / "a", 10)
    point_latest(tmp_path, tmp_path / "nowhere")  # a link is in the way, as when a disk was moved to Windows

    def refuse(*arguments, **options):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert point_latest(tmp_path, run.path) is None
    assert (tmp_path / "latest").read_text() == "a\n"
    assert resolve_resume("latest", tmp_path).run == run.path
    assert resolve_resume(str(tmp_path / "latest"), tmp_path / "elsewhere").run == run.path
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "latest"]


POINTER = """
import sys
from pathlib import Path
from rlbot.run.directory import point_latest
for _ in range(300):
    warning = point_latest(Path(sys.argv[1]), Path(sys.argv[1], sys.argv[2]))
    assert warning is None, warning
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows may refuse for a moment, which is a warning")
def test_two_processes_that_save_at_once_leave_a_whole_pointer(tmp_path):
    start_run(tmp_path / "a", 10)
    start_run(tmp_path / "b", 10)
    point_latest(tmp_path, tmp_path / "a")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    both = [
        subprocess.Popen([sys.executable, "-c", POINTER, str(tmp_path), name], env=environment) for name in ("a", "b")
    ]
    seen = set()
    while any(process.poll() is None for process in both):
        seen.add(resolve_resume("latest", tmp_path).run)
    assert [process.returncode for process in both] == [0, 0]
    assert seen <= {tmp_path / "a", tmp_path / "b"}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b", "latest"]


def test_what_is_deleted_during_a_run_is_made_again_where_its_parent_stands(tmp_path):
    run = start_run(tmp_path / "outputs" / "a", 10)
    run.write_run_json({"user": "somebody"})
    assert run.remake() == []
    shutil.rmtree(run.path)
    (warning,) = run.remake()
    assert f"{run.checkpoints} was deleted during the run" in warning
    assert list(run.checkpoints.iterdir()) == [] and RunDirectory(run.path).run_id == run.run_id
    assert json.loads(run.run_file.read_text())["user"] == "somebody"
    shutil.rmtree(tmp_path / "outputs")
    assert run.remake() == [] and not (tmp_path / "outputs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_latest_is_a_relative_link_that_survives_moving_the_outputs(tmp_path):
    start_run(tmp_path / "old" / "a", 10)
    point_latest(tmp_path / "old", tmp_path / "old" / "a")
    os.rename(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new" / "latest").is_symlink()
    assert resolve_resume("latest", tmp_path / "new").run == tmp_path / "new" / "a"


def test_a_pointer_that_cannot_be_written_is_only_a_warning(tmp_path):
    (tmp_path / "latest").mkdir()
    warning = point_latest(tmp_path, tmp_path / "a")
    assert warning is not None
    assert "latest was not updated" in warning
    assert "\n" not in warning
    (tmp_path / "file").write_text("")
    assert point_latest(tmp_path / "file", tmp_path / "a") is not None
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "latest"]


def test_resume_accepts_run_checkpoints_and_checkpoint_directories(tmp_path, monkeypatch):
    run = start_run(tmp_path / "a", 10, 20)
    newest = run.checkpoints / "step_000000020"
    oldest = run.checkpoints / "step_000000010"
    assert resolve_resume(str(run.path), tmp_path).checkpoint == newest
    assert resolve_resume(str(run.checkpoints), tmp_path).checkpoint == newest
    found = resolve_resume(str(oldest), tmp_path)
    assert (found.checkpoint, found.run) == (oldest, run.path)
    monkeypatch.chdir(tmp_path)
    assert resolve_resume("a", tmp_path).checkpoint == newest
    os.rename(oldest, tmp_path / "best")  # copied out: there is no run directory to go on in
    assert resolve_resume("best", tmp_path) == directory_module.Resume(tmp_path / "best", None, [], named=True)


def test_resume_that_cannot_work_names_the_value_and_what_to_do(tmp_path):
    run = start_run(tmp_path / "a", 10, 20)
    with pytest.raises(ValueError, match=r"resume=latest: there is no directory .*\n.*resume=outputs"):
        resolve_resume("latest", tmp_path)
    (run.checkpoints / "step_000000020" / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"manifest\.json cannot be read.*\nresume=.*step_000000010 is intact"):
        resolve_resume(str(run.checkpoints / "step_000000020"), tmp_path)
    start_run(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"no intact checkpoint in .*\(0 damaged\)\n.*resume=null"):
        resolve_resume(str(tmp_path / "empty"), tmp_path)
    model = run.checkpoints / "step_000000010" / "model.safetensors"
    with pytest.raises(ValueError, match="is no pointer to a run"):
        resolve_resume(str(model), tmp_path)


def test_machine_description_has_versions_and_the_commit(tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "a.txt").write_text("one")
    subprocess.run([*git, "add", "a.txt"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    clean = describe_machine(tmp_path)
    assert len(clean["git_commit"]) == 40
    assert clean["git_changed"] is False
    (tmp_path / "a.txt").write_text("two")
    assert describe_machine(tmp_path)["git_changed"] is True
    assert clean["packages"]["torch"] == importlib.metadata.version("torch")
    assert json.loads(json.dumps(clean)) == clean


def test_machine_description_without_git_or_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert describe_machine(tmp_path)["git_commit"] is None
    monkeypatch.setenv("PATH", str(tmp_path))
    described = describe_machine(tmp_path)
    assert described["git_commit"] is None
    assert described["git_changed"] is None
    assert described["host"]
    assert described["python"]


def test_a_run_that_goes_on_elsewhere_takes_with_it_what_it_needs_and_leaves_the_other_as_it_is(tmp_path):
    first = start_run(tmp_path / "a", 10, 20)
    first.write_run_json({"user": "first"})
    (first.path / "ratings.json").write_text("{}")
    (first.tensorboard / "events.out.tfevents.1.host").write_text("curves")
    (first.path / "train.log").write_text("lines")
    before = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    second = RunDirectory(tmp_path / "b")
    second.continue_from(resolve_resume(str(first.checkpoints / "step_000000010"), tmp_path))
    second.write_run_json({"user": "second"})
    assert {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in second.path.iterdir()) == [
        "checkpoints", "ratings.json", "run.json", "tensorboard"
    ]  # fmt: skip
    content = json.loads(second.run_file.read_text())
    assert content["run_id"] == second.run_id != first.run_id
    assert [launch["user"] for launch in content["previous"]] == ["first"]
    assert (second.tensorboard / "events.out.tfevents.1.host").read_text() == "curves"
    found = resolve_resume(str(second.path), tmp_path)
    assert found.checkpoint == second.checkpoints / "step_000000010" and found.run == second.path
    assert RunDirectory(second.path).run_id == second.run_id


def test_a_checkpoint_with_a_file_of_somebody_else_is_never_deleted(tmp_path):
    run = start_run(tmp_path, 10, 20, 30)
    (run.checkpoints / "step_000000010" / "notes.txt").write_text("the best one")
    deleted, warnings = prune_checkpoints(run.checkpoints, run_id=run.run_id, keep_best=0)
    assert ([path.name for path in deleted], warnings) == (["step_000000020"], [])
    start_run(tmp_path, 10)  # saved once more: put aside
    (kept,) = run.checkpoints.glob("kept-*")
    assert (kept / "notes.txt").read_text() == "the best one"
