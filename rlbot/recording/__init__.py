"""Recorded matches: every state of an arena, what its cars did and expected, and what happened, in one file.

    recording = rlbot.recording.load("match.npz")
    recording.states.ball_pos  # (T, 3): the frames of the match as a State of T arenas
    recording.placement(100)  # what an arena can be started from

The format is described in docs/recordings.md.
"""

from rlbot.recording.events import Event, find_events
from rlbot.recording.recorder import Decision, Recorder
from rlbot.recording.recording import Recording, load

__all__ = ["Decision", "Event", "Recorder", "Recording", "find_events", "load"]
