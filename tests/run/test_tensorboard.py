import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlbot.run.tensorboard import TensorBoard


def curve(folder, name):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_points_over_timesteps_beyond_32_bits(tmp_path):
    board = TensorBoard(tmp_path)
    board.log(32_768, {"loss/policy": 0.5, "reward/mean": 1})
    board.log(10_000_000_000, {"loss/policy": float("nan")})
    board.close()
    (first, last) = curve(tmp_path, "loss/policy")
    assert first == (32_768, 0.5)
    assert last[0] == 10_000_000_000
    assert math.isnan(last[1])
    assert curve(tmp_path, "reward/mean") == [(32_768, 1.0)]
    board.log(1, {"loss/policy": 1.0})  # after close: ignored
    board.close()
    assert len(curve(tmp_path, "loss/policy")) == 2


def test_resume_goes_on_at_the_checkpoint_and_drops_the_tail(tmp_path):
    board = TensorBoard(tmp_path)
    for timesteps in (100, 200, 300, 400):
        board.log(timesteps, {"reward/mean": timesteps, "only/before": timesteps})

    resumed = TensorBoard(tmp_path, resumed_at=200)
    for timesteps in (300, 500):
        resumed.log(timesteps, {"reward/mean": -timesteps})
    resumed.close()
    board.close()

    assert curve(tmp_path, "reward/mean") == [(100, 100.0), (200, 200.0), (300, -300.0), (500, -500.0)]
    assert curve(tmp_path, "only/before") == [(100, 100.0), (200, 200.0)]


def test_curves_are_readable_while_written_and_after_a_kill(tmp_path):
    script = (
        "import sys, time; from rlbot.run.tensorboard import TensorBoard\n"
        "board = TensorBoard(sys.argv[1])\n"
        "for i in range(3): board.log(i, {'reward/mean': i})\n"
        "print('written', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"written"
        assert curve(tmp_path, "reward/mean") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    finally:
        process.kill()
        process.communicate()
    assert curve(tmp_path, "reward/mean") == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_a_full_disk_is_one_warning_and_no_point_is_lost(tmp_path):
    resource = pytest.importorskip("resource", reason="needs RLIMIT_FSIZE to play a full disk")
    warnings: list[str] = []
    board = TensorBoard(tmp_path, warn=warnings.append)
    board.log(1, {"reward/mean": 1.0})
    (file,) = tmp_path.iterdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, limits[1]))  # a part of a record
        for timesteps in range(2, 10):
            board.log(timesteps, {"reward/mean": 1.0})
            assert [step for step, _ in curve(tmp_path, "reward/mean")] == [1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert warnings == [f"TensorBoard curves cannot be written in {tmp_path}: File too large"]
    board.log(10, {"reward/mean": 1.0})
    assert [step for step, _ in curve(tmp_path, "reward/mean")] == list(range(1, 11))


def test_a_folder_that_is_deleted_is_made_again_but_not_what_it_lies_in(tmp_path):
    warnings: list[str] = []
    folder = tmp_path / "run" / "tensorboard"
    folder.parent.mkdir()
    board = TensorBoard(folder, warn=warnings.append)
    board.log(1, {"reward/mean": 1.0})
    shutil.rmtree(folder)
    board.log(2, {"reward/mean": 2.0})
    assert curve(folder, "reward/mean") == [(2, 2.0)] and warnings == []
    shutil.rmtree(folder.parent)
    for timesteps in (3, 4):
        board.log(timesteps, {"reward/mean": 0.0})
    assert warnings == [f"TensorBoard curves cannot be written in {folder}: No such file or directory"]
    folder.parent.mkdir()
    board.log(5, {"reward/mean": 5.0})
    assert curve(folder, "reward/mean") == [(3, 0.0), (4, 0.0), (5, 5.0)]


def test_pictures(tmp_path):
    board = TensorBoard(tmp_path)
    board.pictures(500, {"rated/clip_1v1": (b"GIF89a and so on", 320, 220)})
    board.log(500, {"rating/1v1": 1.0})
    board.close()
    board.pictures(600, {"rated/clip_1v1": (b"after the end", 1, 1)})
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    (image,) = events.Images("rated/clip_1v1")
    assert (image.step, image.width, image.height) == (500, 320, 220)
    assert image.encoded_image_string == b"GIF89a and so on"
    assert curve(tmp_path, "rating/1v1") == [(500, 1.0)]
