"""Which run a job of torchrun trains: what the processes go by that it starts in the place of failed ones."""

import re
from pathlib import Path

from rlbot.run.checkpoint import valid_checkpoints
from rlbot.run.files import write_atomic


class TorchrunJob:
    """A file OUTPUTS/.job-NAME with the path of the run, from its start to its end. It may be on no disk but that of
    the machine of rank 0. Without a name nothing is kept."""

    def __init__(self, outputs: Path, name: str | None) -> None:
        self._file = Path(outputs) / f".job-{re.sub(r'[^A-Za-z0-9_-]', '_', name)}" if name else None

    def run(self) -> Path | None:
        """The run that an earlier process of the job began, if it has a sound checkpoint to go on from."""
        try:
            run = Path(self._file.read_text(encoding="utf-8")) if self._file else None
        except OSError:
            return None
        return run if run is not None and valid_checkpoints(run / "checkpoints")[0] else None

    def begin(self, run: Path) -> None:
        """Raises OSError where that cannot be written."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file, str(run.absolute()).encode("utf-8"))

    def end(self) -> None:
        """The run is over, or another one begins."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
