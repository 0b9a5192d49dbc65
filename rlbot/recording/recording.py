"""A recording in memory, and its file: a zip of NumPy arrays (so that numpy.load reads it) and a JSON header."""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.recording.events import KINDS, Event
from rlbot.run.files import write_atomic
from rlbot.sim import MAX_TEAM, CarPlacement, Placement, State
from rlbot.sim.placement import angles

FORMAT, VERSION = "rlbot-recording", 1
TOP_ACTIONS = 10  # how many of the most likely actions are kept
HEADER = "header.json"
# Limits that keep a damaged or hostile file from filling the memory.
_MOST_FRAMES = 500_000  # more than 9 hours at 15 frames a second
_LARGEST_HEADER = 1 << 24  # bytes
_NPY_HEADER = 1024  # bytes: more than NumPy writes before the numbers of an array

# The fields of State that a file holds, and their types in the file.
_ARENA_FIELDS = {
    "ball_pos": "f4", "ball_vel": "f4", "ball_ang_vel": "f4", "blue_score": "i2", "orange_score": "i2",
    "pad_timer": "f4",
}  # fmt: skip
_CAR_FIELDS = {
    "car_pos": "f4", "car_vel": "f4", "car_ang_vel": "f4", "car_forward": "f4", "car_up": "f4", "car_boost": "f4",
    "car_air_time_since_jump": "f4", "car_demo_timer": "f4", "car_handbrake": "f4",
    "car_on_ground": "u1", "car_touched": "u1", "car_is_demoed": "u1", "car_has_flip": "u1", "car_has_jumped": "u1",
    "car_has_double_jumped": "u1", "car_has_flipped": "u1", "car_is_supersonic": "u1", "car_demos": "i2",
    "car_boost_pickups": "i2",
}  # fmt: skip
# Fields of each car and frame: (type in the file, shape, value if it is not known).
DECISION_FIELDS: dict[str, tuple[str, tuple[int, ...], float]] = {
    "controls": ("f4", (8,), 0),
    "value": ("f4", (), np.nan),
    "action": ("i2", (), -1),
    "action_probability": ("f4", (), np.nan),
    "top_actions": ("i2", (TOP_ACTIONS,), -1),
    "top_probabilities": ("f2", (TOP_ACTIONS,), 0),
}


@dataclass(frozen=True, eq=False)
class Recording:
    """T frames of one arena, in the order of time.

    `states`: frame t as arena t of a State. `ticks` (T,): physics ticks since the start. Two frames of the same tick
    are the end of an episode and the start of the next one. `decisions`: arrays (T, P, ...) by slot, chosen in frame t
    and held until the next frame: `controls` (8,), `value`, `action` (row of the action table), `action_probability`,
    `top_actions` and `top_probabilities` (10,). `header`: names, versions and events.
    """

    header: dict[str, Any]
    ticks: NDArray[np.int32]
    states: State
    decisions: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def slots(self) -> list[int]:
        """The slots that have a car; the first half of all slots is blue, the second orange."""
        return [car["slot"] for car in self.header["cars"]]

    @property
    def seconds(self) -> float:
        """The length of the match in seconds."""
        return float(self.ticks[-1] - self.ticks[0]) / float(self.header["tick_rate"])

    @property
    def score(self) -> tuple[int, int]:
        """Goals of blue and orange at the end."""
        return int(self.states.blue_score[-1]), int(self.states.orange_score[-1])

    @property
    def events(self) -> list[Event]:
        """All events, in the order of time."""
        return [Event(**event) for event in self.header["events"]]

    def placement(self, frame: int) -> Placement:
        """The start of an episode in the situation of a frame, for `Arenas.place`: ball and cars where they are, with
        their speeds and their boost, and the boost pads. A demolished car stands where it was."""
        state = self.states
        cars = [_car_placement(state, frame, slot) for slot in self.slots]
        pos, vel, spin = (_three(each[frame]) for each in (state.ball_pos, state.ball_vel, state.ball_ang_vel))
        return Placement(cars, pos, vel, spin, np.maximum(state.pad_timer[frame], 0).tolist())

    def save(self, path: str | Path) -> None:
        """Writes the file; an old file stays until the new one is complete. Raises OSError."""
        write_atomic(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the file."""
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(HEADER, "w") as file:  # has no time of day, so that equal matches give equal files
                file.write(json.dumps(self.header, indent=1).encode())
            for name, array in self._arrays():
                with archive.open(f"{name}.npy", "w") as file:
                    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        return memory.getvalue()

    def _arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield "ticks", self.ticks
        fields = self.states.fields()
        for name, kind in _ARENA_FIELDS.items():
            yield name, fields[name].astype(kind)
        for name, kind in _CAR_FIELDS.items():
            yield name, fields[name][:, self.slots].astype(kind)
        for name, array in self.decisions.items():
            yield name, array[:, self.slots]


def _three(values: NDArray[np.float32]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _car_placement(state: State, frame: int, slot: int) -> CarPlacement:
    forward, up = state.car_forward[frame, slot].astype(float), state.car_up[frame, slot].astype(float)
    return CarPlacement(
        _three(state.car_pos[frame, slot]),
        *angles(forward, up),
        vel=_three(state.car_vel[frame, slot]),
        ang_vel=_three(state.car_ang_vel[frame, slot]),
        boost=float(state.car_boost[frame, slot]),
    )


def load(path: str | Path, setting: str = "recording") -> Recording:
    """Reads a file. It holds only data: none of it is run. Raises ValueError, which names the `setting` that gave the
    path, if the file is missing, truncated, no recording, or of a newer version."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{setting}={path}: {error.strerror or error}") from error
    return from_bytes(data, f"{setting}={path}")


def from_bytes(data: bytes, name: str) -> Recording:
    """Reads the content of a file. Raises ValueError, whose message begins with `name`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            header = json.loads(_member(archive, HEADER, _LARGEST_HEADER))
            _check_header(header)
            return _read(archive, header)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{name}: not a recording, or a truncated one: {error}") from error
    except KeyError as error:
        raise ValueError(f"{name}: not a recording: its {HEADER} says no {error}") from error
    except (ValueError, TypeError, RecursionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{name}: not a recording: {reason}") from error


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a file in the archive, of at most this many bytes, whatever size the archive says it has."""
    if name not in archive.namelist():
        raise ValueError(f"there is no {name} in it")
    with archive.open(name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"its {name} takes more than the {most} bytes that it can need")
    return data


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"its {HEADER} does not say format={FORMAT}")
    if header["version"] != VERSION:
        raise ValueError(f"it is of version {header['version']}, this program reads version {VERSION}")
    slots, team_slots = [car["slot"] for car in header["cars"]], _team_slots(header)
    if not (type(team_slots) is int and 0 < team_slots <= MAX_TEAM):
        raise ValueError(f"its team_slots is {team_slots!r:.50}")
    if not slots or slots != sorted(set(slots) & set(range(2 * team_slots))):
        raise ValueError(f"its cars are in the slots {slots}")
    if not all(isinstance(car["name"], str) for car in header["cars"]):
        raise ValueError("the name of a car is not a text")
    for event in header["events"]:
        _check_event(Event(**event), slots)
    if not (type(header["tick_rate"]) is int and header["tick_rate"] > 0):
        raise ValueError(f"its tick_rate is {header['tick_rate']}")
    if not (type(seconds := header.get("match_seconds", 1)) in (int, float) and 0 < seconds < math.inf):
        raise ValueError(f"its match_seconds is {seconds!r:.50}")
    table = np.array(header["action_table"])
    if table.ndim != 2 or table.shape[1] != 8 or table.dtype.kind not in "if":
        raise ValueError("its action_table is not rows of 8 numbers")


def _team_slots(header: dict[str, Any]) -> Any:
    return header.get("team_slots", 2)  # older files do not say it


def _check_event(event: Event, slots: list[int]) -> None:
    sound = type(event.tick) is int and event.kind in KINDS and event.team in (0, 1)
    if not (sound and event.slot in (None, *slots) and type(event.other) in (int, type(None))):
        raise ValueError(f"there is no such event: {tuple(event)!r:.100}")


def _read(archive: zipfile.ZipFile, header: dict[str, Any]) -> Recording:
    ticks = _array(archive, "ticks", "i4", (_MOST_FRAMES,), exact=False)
    if len(ticks) == 0 or (np.diff(ticks) < 0).any():
        raise ValueError("its ticks are not in the order of time")
    frames, slots = len(ticks), [car["slot"] for car in header["cars"]]
    states = State(frames, team_slots=_team_slots(header))
    fields = states.fields()
    for name, kind in _ARENA_FIELDS.items():
        fields[name][:] = _array(archive, name, kind, fields[name].shape)
    for name, kind in _CAR_FIELDS.items():
        fields[name][:, slots] = _array(archive, name, kind, (frames, len(slots), *fields[name].shape[2:]))
    states.present[:, slots] = 1
    states.pad_active[:] = states.pad_timer <= 0
    states.cars["team"][:] = states.present * states.team_of_slot()
    states.car_right[:] = np.cross(states.car_up, states.car_forward)
    decisions = {}
    for name, (kind, shape, nothing) in DECISION_FIELDS.items():
        decisions[name] = np.full((frames, 2 * states.team_slots, *shape), nothing, kind)
        decisions[name][:, slots] = _array(archive, name, kind, (frames, len(slots), *shape))
    for name in ("action", "top_actions"):
        if not (decisions[name].min() >= -1 and decisions[name].max() < len(header["action_table"])):
            raise ValueError(f"its {name} holds numbers of actions that are not in its action_table")
    return Recording(header, ticks, states, decisions)


def _array(archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...], exact: bool = True) -> NDArray[Any]:
    """An array of this type and shape; without `exact`, of one dimension that is no longer."""
    dtype = np.dtype(kind)
    data = _member(archive, f"{name}.npy", math.prod(shape) * dtype.itemsize + _NPY_HEADER)
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OverflowError, MemoryError) as error:  # NumPy makes room for what is announced before it reads
        reason = str(error).splitlines()[0]
        raise ValueError(f"its {name} cannot be read: {reason}") from error
    if array.dtype != dtype or (array.shape != shape if exact else array.ndim != 1):
        raise ValueError(f"its {name} is {array.dtype} {array.shape}, not {dtype} {shape if exact else '(T,)'}")
    if array.dtype.kind == "f" and name not in ("value", "action_probability") and not np.isfinite(array).all():
        raise ValueError(f"its {name} holds numbers that are not finite")
    return array
