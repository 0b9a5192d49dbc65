"""Recorded matches: every state of an arena, the decisions of its cars, and the events, in one file.

    recording = rlbot.recording.load("match.npz")
    recording.states.ball_pos  # (T, 3): the frames of the match as a State of T arenas
    recording.placement(100)  # frame 100 as an initial state, for Arenas.place

The format is described in docs/recordings.md.
"""

from rlbot.recording.events import Event, find_events
from rlbot.recording.recorder import Decision, Recorder
from rlbot.recording.recording import Recording, load

__all__ = ["Decision", "Event", "Recorder", "Recording", "find_events", "load"]
