"""Writes TensorBoard curves over timesteps. They can be read during the run, and after it was killed."""

import io
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_MAX_PENDING = 1 << 20  # bytes kept until the disk can be written again: some thousand iterations


class TensorBoard:
    """Writes scalars into a new file in `folder`, without buffering.

    resumed_at: timesteps of the checkpoint that the run is resumed from. Later points, written by the process that was
    killed, disappear from the curves; the point at this timestep stays. warn: called with one line if the file cannot
    be written. Training goes on then, and the next point tries again, together with those before it.
    """

    def __init__(
        self, folder: Path, *, resumed_at: int | None = None, warn: Callable[[str], None] | None = None
    ) -> None:
        self._folder = Path(folder)
        self._warn = warn
        self._path = self._folder / _later_name(self._folder)
        self._written = 0  # bytes of complete records in the file
        self._pending = b""
        self._failing = self._closed = False
        if resumed_at is not None:
            self._pending = _record(step=resumed_at + 1, session_log={"status": "START"})
        self._flush()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds one point to each curve. Values may be NaN: TensorBoard marks them."""
        self._add(step, [{"tag": name, "simple_value": float(value)} for name, value in metrics.items()])

    def pictures(self, step: int, pictures: Mapping[str, tuple[bytes, int, int]]) -> None:
        """Adds PNG or GIF files, each with its width and height; a GIF with several pictures is shown as a film."""
        values = [
            {"tag": name, "image": {"width": w, "height": h, "colorspace": 3, "encoded_image_string": data}}
            for name, (data, w, h) in pictures.items()
        ]
        self._add(step, values)

    def text(self, step: int, name: str, text: str) -> None:
        """Adds a text (Markdown) to the tab Text."""
        metadata = {"plugin_data": {"plugin_name": "text"}}
        tensor = {"dtype": "DT_STRING", "string_val": [text.encode("utf-8")]}
        self._add(step, [{"tag": name, "metadata": metadata, "tensor": tensor}])

    def _add(self, step: int, values: list[dict[str, Any]]) -> None:
        if self._closed:
            return
        record = _record(step=step, summary={"value": values})
        if len(self._pending) < _MAX_PENDING:
            self._pending += record
        self._flush()

    def close(self) -> None:
        """Ends the file; later points are ignored."""
        self._closed = True

    def _flush(self) -> None:
        try:
            self._append()
            self._failing = False
        except OSError as error:
            if self._warn is not None and not self._failing:
                self._warn(f"TensorBoard curves cannot be written in {self._folder}: {error.strerror or error}")
            self._failing = True

    def _append(self) -> None:
        """Writes the pending records. First removes a record that a full disk has cut."""
        self._folder.mkdir(exist_ok=True)  # it may have been deleted; its parents are not made again
        with self._path.open("r+b" if self._path.exists() else "xb") as file:
            if file.seek(0, os.SEEK_END) < self._written:
                self._written = 0
            file.seek(self._written)
            file.truncate()
            file.write(b"" if self._written else _record(file_version="brain.Event:2"))
            file.write(self._pending)
            file.flush()
            self._written, self._pending = file.tell(), b""


def _record(**event: Any) -> bytes:
    """Returns an event (given as the fields of its protocol buffer) as a record of a TensorBoard file."""
    from tensorboard.compat.proto.event_pb2 import Event  # imported here because it is slow to import
    from tensorboard.summary.writer.record_writer import RecordWriter

    framed = io.BytesIO()
    RecordWriter(framed).write(Event(wall_time=time.time(), **event).SerializeToString())
    return framed.getvalue()


def _later_name(folder: Path) -> str:
    """Returns a file name that TensorBoard reads after the others in the folder. It reads files in the order of their
    names, which begin with the second in which they were made, so this waits until that second is over."""
    seconds = [name.split(".")[3] for name in (path.name for path in folder.glob("events.out.tfevents.*"))]
    if f"{int(time.time()):010d}" in seconds:
        time.sleep(1.01 - time.time() % 1.0)
    return f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
