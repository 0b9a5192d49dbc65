"""The manifest of a checkpoint: what the checkpoint contains, and checksums to verify every byte of it.

manifest.json is written last. It holds the checksums of the other files and one of itself.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbot.run.files import from_json, to_json

FORMAT = 1
MANIFEST = "manifest.json"

_FILE = re.compile(r"[A-Za-z0-9_-]+\.(safetensors|json)")


@dataclass(frozen=True)
class CheckpointInfo:
    """The contents of a manifest. `sequence` counts the saves in one directory: after a resume from an older
    checkpoint, the newest checkpoint is not the one with the most timesteps."""

    path: Path
    timesteps: int
    score: float | None
    run_id: str
    sequence: int


def checkpoint_info(path: Path) -> CheckpointInfo:
    """Reads only the manifest. Raises ValueError if it is missing, damaged, of another program or of a newer format."""
    return info_of(Path(path), _read_manifest(Path(path)))


def checkpoint_fault(path: Path) -> str | None:
    """Returns one line that says what is wrong with the checkpoint, or None if every checksum is right."""
    try:
        read_verified(Path(path))
    except ValueError as error:
        return str(error)
    return None


def checkpoint_files(path: Path) -> list[str]:
    """Returns the names of a checkpoint's files, without the manifest. Raises ValueError as `checkpoint_info`."""
    return list(_read_manifest(Path(path))["files"])


def has_more(path: Path) -> bool:
    """Whether the directory of a checkpoint contains files that do not belong to it, or cannot be read (any more)."""
    try:
        return {each.name for each in path.iterdir()} > {*checkpoint_files(path), MANIFEST}
    except (OSError, ValueError):  # for example, its disk was removed a moment ago
        return True


def read_verified(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Returns the manifest and the bytes of every file it names, after checking them. Raises ValueError that names the
    file and what is wrong with it."""
    manifest = _read_manifest(path)
    files = {}
    for name, expected in manifest["files"].items():
        if not _FILE.fullmatch(name):  # also prevents that a forged manifest reads files outside the directory
            raise ValueError(f"checkpoint {path}: {MANIFEST} names {name!r}, which is no file of a checkpoint")
        data = _read(path, name)
        if len(data) != expected["size"]:
            raise ValueError(f"checkpoint {path}: {name} has {len(data)} bytes, expected {expected['size']}")
        if sha256(data) != expected["sha256"]:
            raise ValueError(f"checkpoint {path}: {name} is damaged (checksum does not match)")
        files[name] = data
    return manifest, files


def seal(manifest: Mapping[str, Any]) -> bytes:
    """Returns the manifest as bytes, with a checksum of itself."""
    return to_json({**manifest, "sha256": sha256(to_json(manifest))})


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise ValueError(f"checkpoint {path}: not a directory")
    data = _read(path, MANIFEST)
    try:
        manifest = from_json(data)
        content = {key: value for key, value in manifest.items() if key != "sha256"}
        expected = seal(content)  # encoding is deterministic, so comparing the bytes checks all of them
    except (ValueError, AttributeError) as error:
        raise ValueError(f"checkpoint {path}: {MANIFEST} is no manifest: {error}") from error
    if not isinstance(content.get("format"), int):
        raise ValueError(f"checkpoint {path}: {MANIFEST} was not written by this program")
    if content["format"] > FORMAT:
        raise ValueError(
            f"checkpoint {path}: format {content['format']} is newer than this version reads "
            f"({FORMAT}); update rlbot-trainer"
        )
    if expected != data:
        raise ValueError(f"checkpoint {path}: {MANIFEST} is damaged (checksum does not match)")
    types = {"timesteps": int, "sequence": int, "run_id": str, "files": dict, "tensors": dict}
    if not all(isinstance(content.get(key), kind) for key, kind in types.items()) or not isinstance(
        content.get("score"), (float, type(None))
    ):
        raise ValueError(f"checkpoint {path}: {MANIFEST} was not written by this program")
    return content


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        raise ValueError(f"checkpoint {path}: {name} cannot be read: {error.strerror}") from error


def info_of(path: Path, manifest: Mapping[str, Any]) -> CheckpointInfo:
    return CheckpointInfo(path, manifest["timesteps"], manifest["score"], manifest["run_id"], manifest["sequence"])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
