import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rlbot.run.checkpoint as checkpoint_module
from rlbot.run.checkpoint import (
    CheckpointError,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    valid_checkpoints,
)
from rlbot.run.manifest import MANIFEST, checkpoint_fault, checkpoint_info, seal, sha256

RUN = "a1b2"


def save(parent, timesteps, *, run_id=RUN, score=None, value=0.0):
    tensors = {"model": {"weight": torch.full((3,), value)}}
    return save_checkpoint(parent, timesteps, tensors, {"loop": {"value": value}}, run_id=run_id, score=score)


def names(parent):
    return sorted(entry.name for entry in parent.iterdir())


def test_every_kind_of_tensor_comes_back_as_it_was(tmp_path):
    tied = torch.rand(4, 3, requires_grad=True)
    group = {
        "z_scalar": torch.tensor(3.5),
        "bool": torch.tensor([True, False]),
        "int64": torch.tensor([-(2**63), 2**63 - 1]),
        "float64": torch.tensor([0.1, float("nan"), float("-inf")], dtype=torch.float64),
        "bfloat16": torch.tensor([1.5], dtype=torch.bfloat16),
        "empty": torch.zeros(0, 5),
        "tied_a": tied,
        "tied_b": tied,
        "transposed": torch.arange(6.0).reshape(2, 3).t(),
        "every_other": torch.arange(8)[::2],
        "expanded": torch.ones(1).expand(4),
        "np_scalar": np.array(2**63 + 5, dtype=np.uint64),
        "np_bool": np.array([[True], [False]]),
        "np_uint8": np.arange(5, dtype=np.uint8),
        "np_empty": np.zeros((2, 0), dtype=np.float64),
        "np_transposed": np.arange(6.0).reshape(2, 3).T,
        "np_reversed": np.arange(4)[::-1],
        "np_readonly": np.frombuffer(b"12345678", dtype=np.int64),
    }
    tensors, documents = load_checkpoint(save_checkpoint(tmp_path, 7, {"all": group, "none": {}}, {}, run_id=RUN))

    assert tensors["none"] == {}
    assert documents == {}
    assert list(tensors["all"]) == list(group)
    for name, before in group.items():
        after = tensors["all"][name]
        assert type(after) is (np.ndarray if isinstance(before, np.ndarray) else torch.Tensor), name
        assert (after.dtype, after.shape) == (before.dtype, before.shape), name
        before = before.detach() if isinstance(before, torch.Tensor) else before
        np.testing.assert_array_equal(_numpy(after), _numpy(before), err_msg=name)
    tensors["all"]["np_uint8"][0] = 9  # writable


def _numpy(value):
    return value.to(torch.float64).numpy() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def test_an_optimizer_and_generators_continue_exactly_from_a_checkpoint(tmp_path):
    def run(model, optimizer, generator, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(8, 3, generator=generator)).square().mean().backward()
            optimizer.step()

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    generator = torch.Generator().manual_seed(5)
    run(model, optimizer, generator, 3)
    state = {f"{i}.{k}": v for i, slot in optimizer.state_dict()["state"].items() for k, v in slot.items()}
    tensors = {"model": model.state_dict(), "optimizer": state, "random": {"torch": generator.get_state()}}
    path = save_checkpoint(tmp_path, 3, tensors, {}, run_id=RUN)
    run(model, optimizer, generator, 3)

    loaded, _ = load_checkpoint(path)
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(loaded["model"])
    other_optimizer = torch.optim.Adam(other.parameters())
    slots = {i: {k.split(".")[1]: v for k, v in loaded["optimizer"].items() if k[0] == str(i)} for i in (0, 1)}
    other_optimizer.load_state_dict({**other_optimizer.state_dict(), "state": slots})
    other_generator = torch.Generator()
    other_generator.set_state(loaded["random"]["torch"])
    run(other, other_optimizer, other_generator, 3)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


@pytest.mark.parametrize(
    ("tensors", "documents", "named"),
    [
        ({"model": {"w": np.array(["text"])}}, {}, "'model'"),
        ({"model": {"w": np.array([1j])}}, {}, "'model'"),
        ({"model": {"w": [1.0]}}, {}, "'w' is a list"),
        ({"model": {}}, {"Model": 1}, "differ"),
        ({}, {"manifest": 1}, "manifest"),
        ({"../up": {}}, {}, "'../up'"),
        ({}, {"loop": {"rewards": np.zeros(2)}}, "'loop'.*rewards"),
    ],
)
def test_content_that_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, tensors, documents, named):
    with pytest.raises(ValueError, match=named):
        save_checkpoint(tmp_path / "checkpoints", 1, tensors, documents, run_id=RUN)
    assert names(tmp_path) == []


def test_names_and_manifest(tmp_path):
    path = save(tmp_path / "checkpoints", 250_000, score=1.5)
    assert path == tmp_path / "checkpoints" / "step_000250000"
    assert names(path) == ["loop.json", MANIFEST, "model.safetensors"]
    manifest = json.loads((path / MANIFEST).read_bytes())
    assert manifest["format"] == 1
    assert manifest["timesteps"] == 250_000
    assert manifest["run_id"] == RUN
    data = (path / "loop.json").read_bytes()
    assert manifest["files"]["loop.json"] == {"size": len(data), "sha256": sha256(data)}
    assert checkpoint_info(path).score == 1.5


def test_every_truncation_of_every_file_is_noticed(tmp_path):
    path = save(tmp_path, 1)
    for file in path.iterdir():
        whole = file.read_bytes()
        for size in range(0, len(whole), max(1, len(whole) // 40)):
            file.write_bytes(whole[:size])
            with pytest.raises(ValueError, match=file.name):
                load_checkpoint(path)
        file.write_bytes(whole)
    load_checkpoint(path)


def test_every_flipped_byte_is_noticed(tmp_path):
    path = save(tmp_path, 1, score=float("nan"))
    for file in path.iterdir():
        whole = file.read_bytes()
        for index in range(len(whole)):
            file.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
            assert file.name in (checkpoint_fault(path) or "no fault"), (file.name, index)
        file.write_bytes(whole)
    assert checkpoint_fault(path) is None


def test_damaged_ones_are_named_skipped_and_left_alone(tmp_path):
    for timesteps in range(1, 9):
        save(tmp_path, timesteps, value=float(timesteps))
    (tmp_path / "step_000000008" / MANIFEST).unlink()
    (tmp_path / "step_000000007" / "model.safetensors").unlink()
    (tmp_path / "step_000000006" / "loop.json").write_bytes(b"")
    shutil.rmtree(tmp_path / "step_000000005")
    (tmp_path / "step_000000005").mkdir()
    shutil.rmtree(tmp_path / "step_000000004")
    (tmp_path / "step_000000004").write_text("a file")
    (tmp_path / "step_000000003" / MANIFEST).write_text('{"format": 99}')
    (tmp_path / "step_000000010").mkdir()
    (tmp_path / "step_000000010" / MANIFEST).write_text("[" * 100_000)
    (tmp_path / "step_000000011").mkdir()
    (tmp_path / "step_000000011" / MANIFEST).write_text('{"format": 1, "of": "another program"}')
    (tmp_path / "notes.txt").write_text("not ours")
    before = names(tmp_path)

    found, warnings = valid_checkpoints(tmp_path)

    assert [path.name for path in found] == ["step_000000002", "step_000000001"]
    assert len(warnings) == 8
    assert all("\n" not in warning for warning in warnings)
    for timesteps in (3, 4, 5, 6, 7, 8, 10, 11):
        assert sum(f"step_{timesteps:09d}" in warning for warning in warnings) == 1
    assert prune_checkpoints(tmp_path, run_id=RUN, keep_best=0)[0] == [tmp_path / "step_000000001"]
    assert names(tmp_path) == [name for name in before if name != "step_000000001"]


def test_a_missing_directory_holds_none_and_a_file_is_an_error(tmp_path):
    assert valid_checkpoints(tmp_path / "none") == ([], [])
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be listed"):
        valid_checkpoints(tmp_path / "file")


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (Path(self.target),)


def test_a_pickle_under_any_file_name_is_never_executed(tmp_path):
    touched = tmp_path / "executed"
    evil = pickle.dumps(Malicious(touched))
    pickle.loads(evil)
    assert touched.exists()  # the pickle does work
    touched.unlink()

    whole = save(tmp_path, 1)
    (whole / "model.pt").write_bytes(evil)
    load_checkpoint(whole)  # a file that the manifest does not name is not even opened
    for name in ("model.safetensors", "loop.json", MANIFEST):
        path = save(tmp_path, 2)
        (path / name).write_bytes(evil)
        with pytest.raises(ValueError, match=name):
            load_checkpoint(path)
        shutil.rmtree(path)
    # an attacker who also makes the checksums right
    for name in ("model.safetensors", "loop.json", "model.pkl", "../evil.json"):
        path = save(tmp_path, 3)
        (tmp_path / "evil.json").write_bytes(evil)
        if name != "../evil.json":
            (path / name).write_bytes(evil)
        manifest = json.loads((path / MANIFEST).read_bytes())
        del manifest["sha256"]
        manifest["files"] = {name: {"size": len(evil), "sha256": sha256(evil)}}
        (path / MANIFEST).write_bytes(seal(manifest))
        with pytest.raises(ValueError, match=name):
            load_checkpoint(path)
        shutil.rmtree(path)
    assert not touched.exists()


def test_saving_the_same_step_again_replaces_it(tmp_path):
    save(tmp_path, 5, value=1.0, score=9.0)
    path = save(tmp_path, 5, value=2.0, score=1.0)
    assert load_checkpoint(path)[1]["loop"] == {"value": 2.0}
    assert checkpoint_info(path).score == 1.0
    assert names(tmp_path) == ["step_000000005"]


def test_what_is_not_ours_is_moved_aside_and_not_deleted(tmp_path):
    save(tmp_path, 5, value=1.0, run_id="other")
    (tmp_path / "step_000000006").write_text("a file")
    save(tmp_path, 5, value=2.0)
    save(tmp_path, 6, value=2.0)
    kept = [entry for entry in tmp_path.iterdir() if entry.name.startswith("kept-")]
    assert sorted(entry.name[:19] for entry in kept) == ["kept-step_000000005", "kept-step_000000006"]
    assert load_checkpoint(min(kept))[1]["loop"] == {"value": 1.0}
    assert max(kept).read_text() == "a file"
    assert len(valid_checkpoints(tmp_path)[0]) == 2


def test_newest_is_the_last_saved_even_after_going_back(tmp_path):
    for timesteps in (100, 200, 300):
        save(tmp_path, timesteps)
    save(tmp_path, 150)  # resumed at 100
    assert [path.name[-3:] for path in valid_checkpoints(tmp_path)[0]] == ["150", "300", "200", "100"]
    prune_checkpoints(tmp_path, run_id=RUN, keep_best=0)
    assert names(tmp_path) == ["step_000000150"]


def test_timesteps_beyond_nine_digits(tmp_path):
    save(tmp_path, 999_999_999)
    save(tmp_path, 10_000_000_000)
    found, warnings = valid_checkpoints(tmp_path)
    assert [path.name for path in found] == ["step_10000000000", "step_999999999"]
    assert not warnings


@pytest.mark.parametrize("stage", ["before the second rename", "after the second rename"])
def test_killed_while_overwriting_the_only_checkpoint(tmp_path, monkeypatch, stage):
    save(tmp_path, 5, value=1.0)

    class Killed(BaseException):
        pass

    def rename(source, target, real=os.rename):
        if stage.startswith("before") and target.name.startswith("step_"):
            raise Killed
        real(source, target)
        if stage.startswith("after") and target.name.startswith("step_"):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "_rename", rename)
        with pytest.raises(Killed):
            save(tmp_path, 5, value=2.0)

    found, warnings = valid_checkpoints(tmp_path)
    value = 1.0 if stage.startswith("before") else 2.0
    assert len(found) == 1
    assert not warnings
    assert load_checkpoint(found[0])[1]["loop"] == {"value": value}
    save(tmp_path, 6)
    assert names(tmp_path) == ["step_000000005", "step_000000006"]
    assert load_checkpoint(tmp_path / "step_000000005")[1]["loop"] == {"value": value}


def test_leftovers_of_a_killed_writer_are_cleaned_by_the_same_run_only(tmp_path):
    for name in (f".writing-{RUN}-step_000000001-00", f".deleting-{RUN}-step_000000001-00"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".writing-other-step_000000001-00").mkdir()
    assert valid_checkpoints(tmp_path) == ([], [])
    save(tmp_path, 2)
    assert names(tmp_path) == [".writing-other-step_000000001-00", "step_000000002"]


def below_a_file(tmp_path):
    (tmp_path / "run").write_text("a regular file")
    return tmp_path / "run" / "checkpoints"


def is_a_file(tmp_path):
    (tmp_path / "checkpoints").write_text("a regular file")
    return tmp_path / "checkpoints"


def run_has_vanished(tmp_path):
    return tmp_path / "run" / "checkpoints"


@pytest.mark.parametrize("place", [below_a_file, is_a_file, run_has_vanished])
def test_what_the_system_refuses_is_one_clear_line(tmp_path, place):
    with pytest.raises(CheckpointError, match=r"^checkpoint step_000000003 was not saved in .*: [^\n]+$"):
        save(place(tmp_path), 3)


def test_a_full_disk_leaves_the_older_checkpoint_and_no_temporary(tmp_path):
    resource = pytest.importorskip("resource", reason="needs RLIMIT_FSIZE to play a full disk")
    save(tmp_path, 1, value=1.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = {"model": {"weight": torch.zeros(100_000)}}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        with pytest.raises(CheckpointError, match="File too large"):
            save_checkpoint(tmp_path, 2, big, {}, run_id=RUN)
        with pytest.raises(CheckpointError):
            save_checkpoint(tmp_path, 1, big, {}, run_id=RUN)  # over an existing one
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["step_000000001"]
    assert load_checkpoint(tmp_path / "step_000000001")[1]["loop"] == {"value": 1.0}
    save_checkpoint(tmp_path, 2, big, {}, run_id=RUN)  # and once there is room again it goes on


def test_retention_keeps_newest_best_and_milestones(tmp_path):
    scores = {1: 5.0, 2: None, 3: 9.0, 4: 7.0, 5: float("nan"), 6: 7.0, 7: 1.0}
    for timesteps, score in scores.items():
        save(tmp_path, timesteps, score=score)
    save(tmp_path, 8, run_id="other", score=100.0)
    deleted, warnings = prune_checkpoints(tmp_path, run_id=RUN, keep_best=2, milestones={2})
    assert [path.name[-1] for path in deleted] == ["5", "4", "1"]
    assert not warnings
    assert [name[-1] for name in names(tmp_path)] == ["2", "3", "6", "7", "8"]
    assert prune_checkpoints(tmp_path, run_id=RUN, keep_best=2, milestones={2}) == ([], [])


def test_scores_that_are_given_count_instead_of_those_in_the_manifests(tmp_path):
    for timesteps in range(1, 8):
        save(tmp_path, timesteps, score=100.0 * timesteps)
    deleted, _ = prune_checkpoints(tmp_path, run_id=RUN, keep_best=3, scores={1: -50.0, 2: 0.5, 3: 0.25, 9: 9.0})
    assert [path.name[-1] for path in deleted] == ["6", "5", "4"]
    prune_checkpoints(tmp_path, run_id=RUN, keep_best=2, scores={1: -50.0})  # who has none is behind who has one
    assert [name[-1] for name in names(tmp_path)] == ["1", "7"]
    save(tmp_path, 8)
    prune_checkpoints(tmp_path, run_id=RUN, keep_best=1, scores={})  # as without
    assert [name[-1] for name in names(tmp_path)] == ["7", "8"]


def test_without_scores_the_newest_are_kept(tmp_path):
    for timesteps in range(1, 6):
        save(tmp_path, timesteps)
    prune_checkpoints(tmp_path, run_id=RUN, keep_best=2)
    assert [name[-1] for name in names(tmp_path)] == ["4", "5"]


def test_retention_never_deletes_the_last_sound_one(tmp_path):
    for timesteps in range(1, 5):
        save(tmp_path, timesteps, score=float(timesteps))
    for timesteps in (3, 4):
        (tmp_path / f"step_{timesteps:09d}" / "model.safetensors").write_bytes(b"")
    prune_checkpoints(tmp_path, run_id=RUN, keep_best=0)
    assert [name[-1] for name in names(tmp_path)] == ["2", "3", "4"]


@pytest.mark.parametrize(
    "kills", [pytest.param(10, id="10 kills"), pytest.param(50, id="50 kills", marks=pytest.mark.slow)]
)
def test_a_writer_killed_at_any_instant_leaves_a_sound_checkpoint(tmp_path, kills):
    if not hasattr(os, "fork"):
        pytest.skip("the writers are forked")
    script = Path(__file__).with_name("killed_writer.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "checkpoints", str(kills), "7"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["timesteps"] > 0
    assert ".writing" in report["leftovers"], "no kill came in the middle of a save: the test tests nothing"
    assert report["names"] == ["step"]


def test_a_checkpoint_that_disappears_during_a_prune_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk is removed after the manifests were read and before the folders are listed."""
    for step in (1, 2, 3):
        checkpoint_module.save_checkpoint(tmp_path / "checkpoints", step, {}, {}, run_id="run")
    read = checkpoint_module._readable

    def removed(parent: Path) -> object:
        found = read(parent)
        parent.rename(tmp_path / "elsewhere")
        return found

    monkeypatch.setattr(checkpoint_module, "_readable", removed)
    assert prune_checkpoints(tmp_path / "checkpoints", run_id="run", keep_best=0) == ([], [])
    assert len(list((tmp_path / "elsewhere").iterdir())) == 3
