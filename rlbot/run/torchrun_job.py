"""Records which run a torchrun job trains, so that restarted processes (--max-restarts) find it and resume it."""

import re
from pathlib import Path

from rlbot.run.checkpoint import valid_checkpoints
from rlbot.run.files import write_atomic


class TorchrunJob:
    """The file OUTPUTS/.job-NAME, which holds the path of the run from its start to its end. Only the machine of rank 0
    needs to see it. Without a name no file is written."""

    def __init__(self, outputs: Path, name: str | None) -> None:
        self._file = Path(outputs) / f".job-{re.sub(r'[^A-Za-z0-9_-]', '_', name)}" if name else None

    def run(self) -> Path | None:
        """Returns the run that an earlier process of the job began, if it has an intact checkpoint; otherwise None."""
        try:
            run = Path(self._file.read_text(encoding="utf-8")) if self._file else None
        except OSError:
            return None
        return run if run is not None and valid_checkpoints(run / "checkpoints")[0] else None

    def begin(self, run: Path) -> None:
        """Records that the job trains `run`. Raises OSError if the file cannot be written."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file, str(run.absolute()).encode("utf-8"))

    def end(self) -> None:
        """Removes the file when the run has ended."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
