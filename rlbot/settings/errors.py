"""Errors that a user can fix, reported in one to three lines. Does not use Hydra."""

from collections.abc import Iterator
from contextlib import contextmanager

from rlbot.processes.torchrun import LostProcess
from rlbot.values.target import PartError

MAX_LINES = 3


class ConfigError(ValueError):
    """Settings are wrong. `problems` holds all problems; the message is the first three lines of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        lines = [line for problem in self.problems for line in problem.splitlines() if line.strip()]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 1 :] = [f"and {len(lines) - MAX_LINES + 1} more"]
        return "\n".join(lines)


class CommandFailed(ConfigError):
    """A failure with a known cause after training began. It is reported in lines too; the run directory stays."""


@contextmanager
def building() -> Iterator[None]:
    """In this context a ValueError, OSError or LostProcess is raised as ConfigError: a mistake or a fault of the
    machine that is reported without a traceback, not a crash."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, OSError, LostProcess) as error:
        raise ConfigError(str(error)) from error


@contextmanager
def playing() -> Iterator[None]:
    """In this context a player that fails is reported in one line; what has been written so far stays."""
    try:
        yield
    except PartError as error:
        raise CommandFailed(str(error)) from error


def one_line(text: str) -> str:
    """Escapes characters that cannot be printed, such as colours: a line feed becomes a backslash and an n."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
