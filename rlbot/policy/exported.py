"""Read a folder that `python -m rlbot.export` wrote, so that an exported bot can be played and rated here."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT, VERSION = "rlbot-export", 1
MANIFEST, WEIGHTS = "manifest.json", "weights.npz"


def is_exported(path: Path) -> bool:
    """Whether the folder has a manifest of an export."""
    try:
        document = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):  # the last one: nested too deeply
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def read_exported(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(manifest, the actor's arrays by name) of an exported folder. Raises ValueError if a file is missing or damaged,
    or another version of the format was written."""
    manifest = json.loads((path / MANIFEST).read_bytes())
    if manifest.get("version") != VERSION:
        raise ValueError(f"was exported as version {manifest.get('version')}, this version reads {VERSION}")
    try:
        data = (path / WEIGHTS).read_bytes()
    except OSError as error:
        raise ValueError(f"its {WEIGHTS} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != manifest["files"][WEIGHTS]:
        raise ValueError(f"its {WEIGHTS} is damaged (checksum does not match)")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return manifest, dict(arrays)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"its {WEIGHTS} cannot be read: {error}") from error
