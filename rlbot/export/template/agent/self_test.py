"""Tests that the bot has the same observations and actions here as the policy had when it was exported."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import RECORDING, load_network, make_pilot, read_arrays, read_manifest
from .network import Network
from .pilot import Pilot
from .recording import field_info, packet

TOLERANCE = 1e-5  # largest difference in an observation, and in the controls of a continuous action head


@dataclass
class Result:
    faults: list[str]  # a line for each difference
    summary: str


def run(folder: Path, flat: Any) -> Result:
    """Repeats the recorded play of a bot's folder. `flat`: RLBot's module of that name.

    Raises BrokenFolder if the folder lacks something.
    """
    manifest = read_manifest(folder)
    recorded = read_arrays(folder, manifest, RECORDING)
    return compare(manifest, load_network(folder, manifest), recorded, flat)


def compare(manifest: Mapping[str, Any], network: Network, recorded: Mapping[str, NDArray[Any]], flat: Any) -> Result:
    """The same, with the files already read."""
    worst, count, faults, times = 0.0, 0, [], []
    pads = np.array(manifest["constants"]["boost_pads"])[recorded["pad_order"]].tolist()
    field = field_info(flat, pads)
    pilot: Pilot | None = None
    for i, player_id in enumerate(recorded["player_id"].tolist()):
        if recorded["first"][i]:
            pilot = make_pilot(manifest, network, field.boost_pads, deterministic=True)
        assert pilot is not None
        frame, phase = recorded["info"][i].tolist()
        made = packet(flat, frame, phase, recorded["ball"][i], recorded["pads"][i], recorded["cars"][i])
        before, began = pilot.decisions, perf_counter()
        pilot.controls(made, player_id)
        if pilot.decisions == before:
            continue
        times.append(perf_counter() - began)
        assert pilot.observation is not None
        difference = np.abs(pilot.observation - recorded["observations"][count])
        worst = max(worst, float(difference.max()))
        if difference.max() > TOLERANCE:
            faults.append(f"packet {i}: {_name(manifest, int(difference.argmax()))} differs by {difference.max():.2g}")
        expected = recorded["controls"][count]
        if recorded["clear"][count] and not np.allclose(pilot.decided, expected, rtol=0, atol=TOLERANCE):
            faults.append(f"packet {i}: its controls are {pilot.decided.tolist()} instead of {expected.tolist()}")
        pilot.decided = expected  # the previous action in the next observation
        count += 1
    if count != len(recorded["observations"]):
        faults.append(f"{count} decisions instead of {len(recorded['observations'])}")
    ties = int((~recorded["clear"]).sum())
    summary = (
        f"{len(recorded['info'])} packets; {count} observations, the largest difference is {worst:.1e}; {count - ties} "
        f"actions ({ties} left out, where two are equally likely); 99 of 100 decisions take less than "
        f"{1000 * float(np.percentile(times, 99)):.2f} ms"
    )
    return Result(faults, summary)


def _name(manifest: Mapping[str, Any], column: int) -> str:
    for name, size in manifest["observation"]:
        if column < size:
            return f"{name}[{column}]" if size > 1 else str(name)
        column -= size
    raise IndexError(column)
