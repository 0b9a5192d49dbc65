"""Pictures of a rated version for TensorBoard: a heat map of its matches and a clip of one of them."""

import io
from typing import NamedTuple

from PIL import Image

from rlbot.picture import heatmap
from rlbot.picture.clip import frames, write_gif
from rlbot.picture.heatmap import Traces
from rlbot.recording import Recording

_SECONDS = 6.0  # of the clip
_AFTER_GOAL = 1.0  # s of the clip after the goal
_RATE = 6.0  # pictures a second
_DPI, _COLORS = 55, 48  # of the heat map


class Picture(NamedTuple):
    """A PNG or GIF file, and its size in pixels."""

    data: bytes
    width: int
    height: int


def draw_clip(recording: Recording) -> Picture:
    """A GIF of the seconds before the first goal, or of the first seconds if there is none."""
    rate = int(recording.header["tick_rate"])
    goals = [event.tick / rate for event in recording.events if event.kind == "goal"]
    stop = max(goals[0] + _AFTER_GOAL, _SECONDS) if goals else _SECONDS
    file = io.BytesIO()
    shown = frames(recording.states, recording.ticks, rate, _RATE, stop - _SECONDS, stop, small=True)
    write_gif(file, shown, _RATE)
    return _picture(file)


def draw_heatmap(traces: Traces, name: str, title: str) -> Picture:
    """A PNG of where ball and cars were in all matches of a version."""
    drawn, file = io.BytesIO(), io.BytesIO()
    heatmap.draw(traces, (name, "opponents"), title, drawn, _DPI)
    with Image.open(drawn) as image:  # few colours make it a third as large: there is one for every version
        image.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return _picture(file)


def _picture(file: io.BytesIO) -> Picture:
    with Image.open(file) as image:
        return Picture(file.getvalue(), *image.size)
