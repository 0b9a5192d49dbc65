"""Initial states of episodes from recorded matches."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlbot.recording.recording import Recording, load
from rlbot.sim import Placement

_GOAL_LINE = 5000.0  # uu: behind it there is a goal, or will be at once


@dataclass(frozen=True, eq=False)
class RecordedStarts:
    """Recordings, and for each the frames in which an episode can start."""

    recordings: Sequence[Recording]
    frames: Sequence[NDArray[np.int64]]

    def draw(self, rng: np.random.Generator, teams: tuple[int, int]) -> Placement:
        """Draws a frame of the recordings that have enough cars for `teams`, (blue, orange); all are equally likely. If
        only the swapped teams have enough cars, the field is rotated. Surplus cars are left out."""
        fitting = self.fitting(teams)
        ends = np.cumsum([len(self.frames[i]) for i in fitting])
        drawn = int(rng.integers(ends[-1]))
        which = int(np.searchsorted(ends, drawn, side="right"))
        recording, frames = self.recordings[fitting[which]], self.frames[fitting[which]]
        placement = recording.placement(int(frames[drawn - ends[which]]))  # counted from the end
        count = _sizes(recording)[0]
        sides = [placement.cars[:count], placement.cars[count:]]
        if any(len(side) < size for side, size in zip(sides, teams, strict=True)):
            placement = placement.turned()
            sides = [placement.cars[count:], placement.cars[:count]]
        return replace(placement, cars=[car for side, size in zip(sides, teams, strict=True) for car in side[:size]])

    def fitting(self, teams: tuple[int, int]) -> list[int]:
        """Returns the indices of the recordings that have enough cars, as they are or with the teams swapped."""
        counts = [np.array(_sizes(recording)) for recording in self.recordings]
        return [i for i, count in enumerate(counts) if (count >= teams).all() or (count[::-1] >= teams).all()]


def _sizes(recording: Recording) -> tuple[int, int]:
    """Returns how many cars blue and orange have."""
    blue = sum(slot < recording.states.team_slots for slot in recording.slots)
    return blue, len(recording.slots) - blue


@functools.lru_cache(maxsize=4)
def recorded_starts(path: str, setting: str, sizes: Sequence[tuple[int, int]]) -> RecordedStarts:
    """Reads a recording, or all recordings of a folder. A minute of 2v2 takes about 1 MB of memory.

    Raises ValueError, which names the `setting`, if there is none, one cannot be read, or none has enough cars for one
    of `sizes`, the (blue, orange) cars of arenas."""
    place = Path(path).expanduser()
    files = sorted(place.glob("*.npz")) if place.is_dir() else [place]
    if not files:
        raise ValueError(f"{setting}={path}: holds no recordings; rlbot.evaluate record=3 writes some")
    recordings = [load(file, setting) for file in files]
    starts = RecordedStarts(recordings, [_playable(each) for each in recordings])
    for blue, orange in sizes:
        if not any(map(len, (starts.frames[i] for i in starts.fitting((blue, orange))))):
            raise ValueError(f"{setting}={path}: none of its recordings has enough cars for {blue}v{orange}")
    return starts


def _playable(recording: Recording) -> NDArray[np.int64]:
    """Returns the frames in which the ball is in play and no car is demolished."""
    states = recording.states
    playing = (np.abs(states.ball_pos[:, 1]) < _GOAL_LINE) & ~(states.car_is_demoed > 0).any(1)
    return np.flatnonzero(playing)
