"""TensorBoard curves over timesteps that can be read while the run goes on, and after it was killed."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_RETRY_SECONDS = 30.0


class TensorBoard:
    """Writes scalars into `folder`; what was written reaches the disk within `flush_seconds`.

    resumed_at: timesteps of the checkpoint that the run goes on from. Points beyond it, written by the
    process that was killed, disappear from the curves; the point at that very timestep stays. warn: called
    with one line when the disk refuses to take the curves; training goes on, and writing is tried again every
    30 s (the points in between are lost).
    """

    def __init__(
        self,
        folder: Path,
        *,
        resumed_at: int | None = None,
        flush_seconds: float = 5.0,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._purge = None if resumed_at is None else resumed_at + 1
        self._flush_seconds = flush_seconds
        self._warn = warn
        self._writer: SummaryWriter | None = None
        self._retry_at = 0.0
        self._failing = False
        self._attempt(lambda writer: None)

    def write(self, metrics: Mapping[str, float], timesteps: int) -> None:
        """Adds one point to each curve. Values may be NaN: TensorBoard marks them."""

        def add(writer: "SummaryWriter") -> None:
            for name, value in metrics.items():
                writer.add_scalar(name, float(value), timesteps)

        self._attempt(add)

    def flush(self) -> None:
        """Brings everything to the disk now, for example when a checkpoint is saved."""
        self._attempt(lambda writer: writer.flush())

    def close(self) -> None:
        if self._writer is not None:
            self._attempt(lambda writer: writer.close())
            self._writer = None
        self._retry_at = float("inf")

    def _attempt(self, action: "Callable[[SummaryWriter], None]") -> None:
        if self._writer is None and time.monotonic() < self._retry_at:
            return
        try:
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter  # late: see checkpoint.py

                _wait_for_a_later_name(self._folder)
                self._writer = SummaryWriter(
                    str(self._folder),
                    purge_step=self._purge,
                    flush_secs=self._flush_seconds,
                )
                self._purge = None
            action(self._writer)
            self._failing = False
        except OSError as error:
            self._writer = None
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            if self._warn is not None and not self._failing:
                self._warn(f"TensorBoard curves cannot be written in {self._folder}: {error.strerror or error}")
            self._failing = True


def _wait_for_a_later_name(folder: Path) -> None:
    """TensorBoard reads the files of a folder in the order of their names, which begin with the second they
    were made in: a run that is resumed within that second could be read before what it goes on from."""
    seconds = [name.split(".")[3] for name in (path.name for path in folder.glob("events.out.tfevents.*"))]
    if f"{int(time.time()):010d}" in seconds:
        time.sleep(1.01 - time.time() % 1.0)
