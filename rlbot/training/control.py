"""Live control of a run: what rank 0 is asked for between two iterations, by signals, the time limit and
`python -m rlbot.control`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlbot.run import Request, Requests
from rlbot.settings.document import document
from rlbot.settings.errors import ConfigError
from rlbot.settings.live import changed, value_of
from rlbot.settings.schema import TrainConfig
from rlbot.training.build import make_schedule
from rlbot.training.loop import Progress
from rlbot.training.saver import Saver
from rlbot.values.convert import shown

_ASKED = "rlbot.control stopped the run"
_ENDED = "Training has ended"


@dataclass(frozen=True)
class Asked:
    """What one rank asks all ranks for. `config`: new settings, if they have changed."""

    stop: bool = False
    pause: bool = False
    save: bool = False
    config: TrainConfig | None = None
    ratings: tuple[tuple[int, float], ...] = ()  # that have come in


class Control:
    """Call it between two iterations. `stopping`: whether a signal or the time limit ends the run."""

    def __init__(
        self,
        requests: Requests,
        saver: Saver,
        stopping: Callable[[], bool],
    ) -> None:
        self.reason: str | None = None  # why it ends the run
        self._requests, self._saver, self._stopping = requests, saver, stopping
        self._paused = False
        self._saving: list[Request] = []  # answered when the checkpoint is written
        self._iterations = -1  # of the run when this process began it

    def __call__(self, progress: Progress) -> Asked:
        if self._iterations < 0:
            self._iterations = progress.iterations
        self._saved(progress)
        before, save = self._saver.config, False
        # Before the first iteration there is nothing to save; requests wait until then.
        for request in self._requests.take() if progress.iterations > self._iterations else ():
            save |= request.command in ("save", "set")
            self._execute(request, progress)
        config = self._saver.config if self._saver.config is not before else None
        stop = self.reason is not None or self._stopping()
        return Asked(stop, self._paused, save, config, self._saver.reporter.new_ratings())

    def ending(self) -> bool:
        """Whether the run is asked to end, when training has ended and only ratings are still to come."""
        for request in self._requests.take():
            if request.command == "stop":
                self.reason = _ASKED
            self._requests.answer(request, request.command == "stop", _ENDED)
        return self.reason is not None or self._stopping()

    def close(self, progress: Progress) -> None:
        """Answers what is still open when the run ends."""
        self._saved(progress)
        for request in self._requests.take():
            self._requests.answer(request, request.command == "stop", _ENDED)

    def _execute(self, request: Request, progress: Progress) -> None:
        at = f"at {progress.timesteps} timesteps"
        if request.command == "save":
            self._saving.append(request)
        elif request.command == "set":
            self._set(request, progress)
        elif request.command == "stop":
            self.reason = _ASKED
            self._requests.answer(request, True, f"Stopping {at}, with a checkpoint")
        elif request.command in ("pause", "resume"):
            before, self._paused = self._paused, request.command == "pause"
            told = f"{'Paused' if self._paused else 'Resumed'} {at}"
            if before == self._paused:
                told = "It is paused already" if before else "It is not paused"
            else:
                self._saver.console.ok(told)
            self._requests.answer(request, before != self._paused, told)
        else:
            self._requests.answer(request, False, f"{request.command}: must be save, stop, pause, resume or set")

    def _set(self, request: Request, progress: Progress) -> None:
        try:
            config = changed(old := self._saver.config, request.settings)
        except ConfigError as error:
            self._requests.answer(request, False, str(error))
            return
        values = [(key, value_of(old, key), value_of(config, key)) for key in request.settings]
        line = ", ".join(f"{key}={shown(value)} (before: {shown(before)})" for key, before, value in values)
        line += f" from {progress.timesteps} timesteps on"
        rate = make_schedule(config).learning_rate_at(progress.timesteps)
        if rate != make_schedule(old).learning_rate_at(progress.timesteps):
            line += f"; learning rate now {rate:g}"
        self._apply(config, request.settings, line, progress.timesteps)
        self._requests.answer(request, True, line)

    def _apply(self, config: TrainConfig, settings: Mapping[str, Any], line: str, timesteps: int) -> None:
        saver = self._saver
        saver.config, saver.console.interval = config, config.log_interval
        saver.reporter.changed(config.total_timesteps, line, timesteps)
        try:
            saver.home.note_change(document(config), {"timesteps": timesteps, "settings": dict(settings)})
        except ValueError as error:
            saver.console.warn(f"{error}; the next checkpoint has the new settings")

    def _saved(self, progress: Progress) -> None:
        for request in self._saving:
            if self._saver.saved_at == progress.timesteps:
                self._requests.answer(request, True, f"Checkpoint saved at {progress.timesteps} timesteps")
            else:
                why = self._saver.failed or "the last iteration was bad; the next good one is saved"
                self._requests.answer(request, False, f"No checkpoint at {progress.timesteps} timesteps: {why}")
        self._saving = []
