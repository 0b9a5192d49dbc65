"""Reads the files of the bot's folder, manifest.json and the weights, and checks them before the bot plays."""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .network import Network
from .observation import OTHERS
from .pilot import Pilot
from .tracker import Tracker

FORMAT, VERSION = "rlbot-export", 1
MANIFEST, WEIGHTS, RECORDING = "manifest.json", "weights.npz", "self_test.npz"


class BrokenFolder(Exception):
    """A file of the folder is missing or damaged. The message names it."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest. Raises BrokenFolder if there is none, or if it is of another format or version."""
    try:
        manifest: dict[str, Any] = json.loads(_read(folder, MANIFEST))
        kind = manifest["format"], manifest["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFolder(f"{folder / MANIFEST} cannot be read: {type(error).__name__}: {error}") from error
    if kind != (FORMAT, VERSION):
        raise BrokenFolder(f"{folder / MANIFEST} is of format {kind[0]}, version {kind[1]}, not {FORMAT}, {VERSION}")
    return manifest


def read_arrays(folder: Path, manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the arrays of a .npz file. Raises BrokenFolder if it is missing or does not match the manifest."""
    data = _read(folder, name)
    if hashlib.sha256(data).hexdigest() != manifest["files"].get(name):
        raise BrokenFolder(f"{folder / name} is not the file that was exported: its checksum differs from {MANIFEST}'s")
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def load_network(folder: Path, manifest: Mapping[str, Any]) -> Network:
    """Returns the network with its weights. Raises BrokenFolder that names what is missing."""
    try:
        size = manifest["network"]["observation_size"]
        if size not in OTHERS:
            raise BrokenFolder(f"the network sees {size} numbers, not {' or '.join(map(str, OTHERS))}")
        weights = read_arrays(folder, manifest, WEIGHTS)
        masked = manifest["observation"] if manifest.get("action_mask") else None
        network = Network(manifest["network"], weights, manifest["action_table"], masked)
        network.likeliest(network.logits(np.zeros(size, np.float32)))  # the first call is slow
    except KeyError as error:
        raise BrokenFolder(f"{folder}: {MANIFEST} or {WEIGHTS} lacks {error}") from error
    except (ValueError, IndexError) as error:
        raise BrokenFolder(f"{folder}: {WEIGHTS} does not fit {MANIFEST}: {error}") from error
    return network


def make_pilot(
    manifest: Mapping[str, Any], network: Network, field_pads: Any, deterministic: bool | None = None
) -> Pilot:
    """Returns a pilot. `field_pads`: the boost pads of a FieldInfo. `deterministic`: None means as in the manifest."""
    pads = [(x, y, cooldown) for x, y, cooldown in manifest["constants"]["boost_pads"]]
    if deterministic is None:
        deterministic = bool(manifest["deterministic"])
    tracker = Tracker(pads, field_pads)
    return Pilot(network, tracker, manifest["tick_skip"], manifest["action_delay"], deterministic)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BrokenFolder(f"{folder / name} is missing or cannot be read: {error.strerror}") from error
