"""Exports a recorded match as an HTML file with the viewer, or as a video from above."""

from pathlib import Path

from rlbot.picture.clip import frames, write_gif, write_mp4
from rlbot.recording import Recording
from rlbot.run.files import write_atomic
from rlbot.watch.page import export_html

_GIF_RATE, _MP4_RATE = 10.0, 30.0  # frames per second of the video


def export(recording: Recording, path: Path, meshes: str | None = None) -> int:
    """Writes `path`, an .html, .gif or .mp4, and returns its size in bytes. Raises ValueError if a library is missing
    or the file cannot be written."""
    kind = path.suffix.lower()
    rate = float(recording.header["tick_rate"])
    try:
        if kind == ".html":
            write_atomic(path, export_html(recording.to_bytes(), title(recording), meshes))
        elif kind == ".gif":
            write_gif(path, frames(recording.states, recording.ticks, int(rate), _GIF_RATE), _GIF_RATE)
        else:
            write_mp4(path, frames(recording.states, recording.ticks, int(rate), _MP4_RATE), _MP4_RATE)
        return path.stat().st_size
    except OSError as error:  # it names a temporary file
        raise ValueError(f"export={path}: cannot be written: {error.strerror or error}") from error


def title(recording: Recording) -> str:
    """The names of the players and the final score."""
    names = [
        " and ".join(dict.fromkeys(car["name"] for car in recording.header["cars"] if (car["team"] == "blue") == blue))
        for blue in (True, False)
    ]
    return f"{names[0]} {recording.score[0]}:{recording.score[1]} {names[1]}"
