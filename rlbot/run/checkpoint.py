"""Reads and writes checkpoints. A crash while one is written leaves no incomplete checkpoint.

A checkpoint is a directory step_000250000/ with NAME.safetensors (tensors), NAME.json (documents) and
manifest.json (format, timesteps, score, run id, size and sha256 of every file). It is written under a name
that starts with a dot, synced to the disk and then renamed. So a directory named step_* is complete, unless it was
damaged later, which the checksums show. Nothing is ever unpickled, and only files named in the manifest are opened.

Other names in the same directory: `.writing-*` (being written), `.replaced-*` (being overwritten, still a complete
checkpoint), `.deleting-*` (being deleted), `kept-*` (had the name of a new checkpoint, but another run or the user
wrote into it, so it was renamed and not deleted).
"""

import math
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from rlbot.run.files import from_json, sync_directory, to_json, write_synced
from rlbot.run.manifest import (
    FORMAT,
    MANIFEST,
    CheckpointInfo,
    checkpoint_fault,
    checkpoint_files,
    checkpoint_info,
    has_more,
    info_of,
    read_verified,
    seal,
    sha256,
)

if TYPE_CHECKING:
    import torch

# PyTorch is imported only in the functions that read or write tensors: finding a checkpoint does not need it.
Array: TypeAlias = "torch.Tensor | NDArray[Any]"
Tensors = dict[str, dict[str, Array]]
Documents = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_RUN = re.compile(r"[A-Za-z0-9]+")
_STEP = re.compile(r"step_\d{9,}")
_REPLACED = re.compile(r"\.replaced-[A-Za-z0-9]+-(step_\d{9,})")


class CheckpointError(Exception):
    """A checkpoint could not be written (disk full, read-only, directory gone). Training can continue."""


def save_checkpoint(
    parent: Path,
    timesteps: int,
    tensors: Mapping[str, Mapping[str, Array]],
    documents: Mapping[str, Any],
    *,
    run_id: str,
    score: float | None = None,
) -> Path:
    """Writes parent/step_TIMESTEPS/ atomically and returns its path. An older checkpoint of this step is replaced.

    tensors[NAME] becomes NAME.safetensors. It may hold torch tensors of any device and NumPy arrays; each is loaded as
    the same kind, on the CPU; tied tensors are written twice. documents[NAME] becomes NAME.json. A higher score is
    better. Raises CheckpointError if the files cannot be written, ValueError if the content cannot be stored.
    """
    parent = Path(parent)
    assert timesteps >= 0, timesteps
    assert _RUN.fullmatch(run_id), run_id
    files, kinds = _serialise(tensors, documents)
    final = parent / f"step_{timesteps:09d}"
    temporary = parent / f".writing-{run_id}-{final.name}-{uuid.uuid4().hex[:8]}"
    try:
        parent.mkdir(exist_ok=True)
        _clean(parent, run_id)
        manifest = {
            "format": FORMAT,
            "timesteps": int(timesteps),
            "score": None if score is None else float(score),
            "run_id": run_id,
            "sequence": 1 + max((info.sequence for info in _readable(parent)), default=0),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "files": {name: {"size": len(data), "sha256": sha256(data)} for name, data in files.items()},
            "tensors": kinds,
        }
        temporary.mkdir()
        for name, data in files.items():
            write_synced(temporary / name, data)
        write_synced(temporary / MANIFEST, seal(manifest))
        sync_directory(temporary)
        _put_in_place(temporary, final, run_id)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint {final.name} was not saved in {parent}: {error.strerror or type(error).__name__}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def copy_checkpoint(source: Path, parent: Path, run_id: str) -> Path:
    """Copies a checkpoint, byte for byte, into the checkpoint directory `parent` of the run `run_id`; returns the path
    of the copy. Its manifest still names the run that wrote it. Raises OSError, and ValueError if the copy is damaged.
    """
    final = parent / f"step_{checkpoint_info(source).timesteps:09d}"
    temporary = parent / f".writing-{run_id}-{final.name}-{uuid.uuid4().hex[:8]}"
    temporary.mkdir()
    try:
        for name in (*checkpoint_files(source), MANIFEST):
            write_synced(temporary / name, (source / name).read_bytes())
        if fault := checkpoint_fault(temporary):
            raise ValueError(fault)
        sync_directory(temporary)
        _rename(temporary, final)
        sync_directory(parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def load_checkpoint(path: Path) -> tuple[Tensors, Documents]:
    """Checks every byte of a checkpoint and returns (tensors, documents) as they were saved.

    Tensors are on the CPU. Raises ValueError that names the file and the problem if it is damaged.
    """
    import safetensors.torch

    manifest, files = read_verified(Path(path))
    tensors: Tensors = {}
    documents: Documents = {}
    for name, data in files.items():
        stem, suffix = name.rsplit(".", 1)
        try:
            if suffix == "json":
                documents[stem] = from_json(data)
            else:
                loaded = safetensors.torch.load(data)
                kinds = manifest["tensors"][stem]  # keeps the order of saving, which safetensors does not
                tensors[stem] = {
                    key: loaded[key].numpy() if kind == "numpy" else loaded[key] for key, kind in kinds.items()
                }
        except (ValueError, KeyError, SafetensorError) as error:
            raise ValueError(f"checkpoint {path}: {name} cannot be read: {error}") from error
    return tensors, documents


def valid_checkpoints(parent: Path) -> tuple[list[Path], list[str]]:
    """Returns the intact checkpoints of a directory, newest first, and one line for each step_* entry that is damaged.

    Nothing is deleted or changed. A missing directory holds none. Raises ValueError if the directory cannot be listed.
    """
    try:
        entries = sorted(Path(parent).iterdir())
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise ValueError(f"checkpoints in {parent} cannot be listed: {error.strerror}") from error
    sound: dict[str, CheckpointInfo] = {}
    warnings = []
    for entry in entries:
        if _STEP.fullmatch(entry.name):
            try:
                sound[entry.name] = info_of(entry, read_verified(entry)[0])
            except ValueError as error:
                warnings.append(f"skipped: {error}")
    # If the process was killed between the two renames of an overwrite, the older checkpoint still has its other name.
    for entry in entries:
        match = _REPLACED.fullmatch(entry.name)
        if match and match[1] not in sound and checkpoint_fault(entry) is None:
            sound[match[1]] = checkpoint_info(entry)
    return [info.path for info in sorted(sound.values(), key=_age, reverse=True)], warnings


def prune_checkpoints(
    parent: Path,
    *,
    run_id: str,
    keep_best: int,
    milestones: Collection[int] = (),
    scores: Mapping[int, float] | None = None,
) -> tuple[list[Path], list[str]]:
    """Deletes old checkpoints of run `run_id`. Returns the deleted paths, and one line for each that could not be
    deleted.

    Kept: the newest intact one, the `keep_best` best by score (no score or NaN ranks last; of equal ones the newer is
    better), those whose timesteps are in `milestones` (they do not count among the best), and all that are damaged,
    were written by another run or contain a file that no save wrote. `scores`, by timesteps, replace those in the
    manifests; checkpoints with such a score rank before those without. A crash leaves a complete checkpoint or a
    `.deleting-*` directory, which the next save removes.
    """
    own = [info for info in _readable(Path(parent)) if info.run_id == run_id and not has_more(info.path)]
    own.sort(key=_age, reverse=True)
    newest = next((info for info in own if checkpoint_fault(info.path) is None), None)
    ranked = [
        info
        for info in own
        if info.timesteps not in milestones and (info is newest or checkpoint_fault(info.path) is None)
    ]
    best = sorted(ranked, key=lambda info: _rank(info, scores or {}), reverse=True)[: max(keep_best, 0)]
    deleted, warnings = [], []
    for info in ranked:
        if info is newest or info in best:
            continue
        doomed = info.path.with_name(f".deleting-{run_id}-{info.path.name}-{uuid.uuid4().hex[:8]}")
        try:
            _rename(info.path, doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            warnings.append(f"checkpoint {info.path} was not deleted: {error.strerror or type(error).__name__}")
        else:
            deleted.append(info.path)
    return deleted, warnings


def _age(info: CheckpointInfo) -> tuple[int, int]:
    return info.sequence, info.timesteps


def _rank(info: CheckpointInfo, scores: Mapping[int, float]) -> tuple[bool, float, int, int]:
    own = scores.get(info.timesteps, info.score)
    score = float("-inf") if own is None or math.isnan(own) else own
    return info.timesteps in scores, score, *_age(info)  # the two kinds of scores cannot be compared


def _readable(parent: Path) -> list[CheckpointInfo]:
    """The step_* entries whose manifest can be read, in no particular order; their files are not checked."""
    found = []
    for entry in parent.glob("step_*"):
        if _STEP.fullmatch(entry.name):
            try:
                found.append(checkpoint_info(entry))
            except ValueError:
                continue  # valid_checkpoints reports it
    return found


def _serialise(
    tensors: Mapping[str, Mapping[str, Array]], documents: Mapping[str, Any]
) -> tuple[dict[str, bytes], dict[str, dict[str, str]]]:
    """Returns the bytes of every file and, for each group of tensors, its keys with "torch" or "numpy"."""
    import safetensors.torch

    stems = [*tensors, *documents]
    if len({stem.lower() for stem in [*stems, "manifest"]}) <= len(stems):
        raise ValueError(f"names of tensors and documents must differ in more than case, and from 'manifest': {stems}")
    for stem in stems:
        if not _NAME.fullmatch(stem):
            raise ValueError(f"name {stem!r} must be letters, digits, _ and -")
    files, kinds = {}, {}
    for stem, group in tensors.items():
        try:
            files[f"{stem}.safetensors"] = safetensors.torch.save(
                {key: _plain_tensor(key, value) for key, value in group.items()}
            )
        except (TypeError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"tensors of {stem!r} cannot be stored: {error}") from error
        kinds[stem] = {key: "numpy" if isinstance(v, np.ndarray) else "torch" for key, v in group.items()}
    for stem, document in documents.items():
        try:
            files[f"{stem}.json"] = to_json(document)
        except ValueError as error:
            raise ValueError(f"document {stem!r} cannot be stored: {error}") from error
    return files, kinds


def _plain_tensor(key: str, value: Array) -> "torch.Tensor":
    """Returns a contiguous copy on the CPU that shares no memory, as safetensors requires."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone(memory_format=torch.contiguous_format)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C", subok=False))
    raise TypeError(f"{key!r} is a {type(value).__name__}, neither a torch tensor nor a NumPy array")


def _put_in_place(temporary: Path, final: Path, run_id: str) -> None:
    """Renames the finished directory. If its name is taken, the old one is renamed first, and only deleted at the end
    if it is a checkpoint of this run."""
    parent = final.parent
    aside = None
    if os.path.lexists(final):
        if checkpoint_fault(final) is None and checkpoint_info(final).run_id == run_id and not has_more(final):
            aside = parent / f".replaced-{run_id}-{final.name}"
        else:
            aside = parent / f"kept-{final.name}-{uuid.uuid4().hex[:8]}"
        _rename(final, aside)
    try:
        _rename(temporary, final)
    except OSError:
        if aside is not None:
            _rename(aside, final)
        raise
    sync_directory(parent)
    if aside is not None and aside.name.startswith("."):
        shutil.rmtree(aside, ignore_errors=True)


def _rename(source: Path, target: Path) -> None:
    # On Windows renaming fails for a moment while a virus scanner or indexer has one of the new files open.
    for pause in (0.05, 0.2, 0.8) if sys.platform == "win32" else ():
        try:
            os.rename(source, target)
            return
        except PermissionError:
            time.sleep(pause)
    os.rename(source, target)


def _clean(parent: Path, run_id: str) -> None:
    """Removes what a killed process of the same run left, and completes or undoes an overwrite that it had begun."""
    for entry in parent.glob(f".*-{run_id}-step_*"):
        replaced = _REPLACED.fullmatch(entry.name)
        if replaced and not os.path.lexists(parent / replaced[1]):
            _rename(entry, parent / replaced[1])
        elif not replaced or checkpoint_fault(parent / replaced[1]) is None:
            shutil.rmtree(entry, ignore_errors=True)
