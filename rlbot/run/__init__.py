"""What a run writes: its directory, checkpoints, TensorBoard curves, console lines, notifications."""

from rlbot.run.checkpoint import (
    CheckpointError,
    copy_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    valid_checkpoints,
)
from rlbot.run.console import Console
from rlbot.run.control import Request, Requests
from rlbot.run.directory import (
    OUTPUTS,
    RESULT,
    Resume,
    RunDirectory,
    check_directory,
    describe_machine,
    find_resume,
    point_latest,
    resolve_resume,
)
from rlbot.run.lock import locked
from rlbot.run.notify import Notifier
from rlbot.run.tensorboard import TensorBoard
from rlbot.run.torchrun_job import TorchrunJob
from rlbot.run.trackers import Trackers

__all__ = [
    "OUTPUTS",
    "RESULT",
    "CheckpointError",
    "Console",
    "Notifier",
    "Request",
    "Requests",
    "Resume",
    "RunDirectory",
    "TensorBoard",
    "TorchrunJob",
    "Trackers",
    "check_directory",
    "copy_checkpoint",
    "describe_machine",
    "find_resume",
    "load_checkpoint",
    "locked",
    "point_latest",
    "prune_checkpoints",
    "resolve_resume",
    "save_checkpoint",
    "valid_checkpoints",
]
