from pathlib import Path

import torch

from rlbot.run import TorchrunJob, save_checkpoint


def test_a_later_process_of_the_job_finds_the_run_once_it_has_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    first, later, other = (TorchrunJob(tmp_path / "outputs", name) for name in ("a/b:1", "a/b:1", "other"))
    assert first.run() is None
    first.begin(run)
    assert later.run() is None
    save_checkpoint(run / "checkpoints", 5, {"model": {"w": torch.ones(1)}}, {}, run_id="1")
    assert later.run() == run and other.run() is None
    first.end()
    assert later.run() is None and not list((tmp_path / "outputs").iterdir())


def test_without_a_name_nothing_is_written(tmp_path: Path) -> None:
    job = TorchrunJob(tmp_path / "outputs", None)
    job.begin(tmp_path)
    assert job.run() is None and not (tmp_path / "outputs").exists()
    job.end()
