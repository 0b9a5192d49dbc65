"""Atomic file writes (a crash leaves the old content or the new one), and JSON that round-trips exactly."""

import json
import math
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

_FLOAT = "$float"


def write_synced(path: Path, data: bytes) -> None:
    """Writes `data` and returns only once the OS says that it is on the disk. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Syncs the file names in `path` to the disk. Windows cannot open directories and does not need this."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Replaces `path` by a file with `data`. A reader sees the old file or the new one. Raises OSError."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def to_json(value: Any) -> bytes:
    """Encodes a document as indented ASCII JSON with a final newline.

    Integers of any size and all floats are decoded exactly. NaN and infinity, which JSON lacks, are written as
    {"$float": "nan"}, so that other tools can still read the file. Tuples are decoded as lists, NumPy scalars as
    Python numbers. Raises ValueError if there are other types, or keys that are not strings.
    """
    return (json.dumps(_encode(value, "document"), indent=1, allow_nan=False) + "\n").encode("ascii")


def from_json(data: bytes) -> Any:
    """Decodes what `to_json` wrote. Raises ValueError if `data` is not JSON."""
    try:
        return json.loads(data.decode("utf-8"), object_hook=_decode)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_FLOAT: repr(float(value))}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key == _FLOAT:
                raise ValueError(f"{where}: key {key!r} cannot be written as JSON; use another string as key")
        return {key: _encode(item, f"{where}.{key}") for key, item in value.items()}
    raise ValueError(
        f"{where}: a {type(value).__name__} cannot be written as JSON; use numbers, text, lists and dicts "
        "(arrays belong among the tensors)"
    )


def _decode(value: dict[str, Any]) -> Any:
    if value.keys() != {_FLOAT}:
        return value
    if value[_FLOAT] not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value[_FLOAT]!r} is not one of nan, inf, -inf")
    return float(value[_FLOAT])
