"""Errors that a user can mend, told in one to three lines. No Hydra in here."""

from collections.abc import Iterator
from contextlib import contextmanager

from rlbot.processes.torchrun import LostProcess

MAX_LINES = 3


class ConfigError(ValueError):
    """Settings that a user has to mend. `problems` holds all of them, the message their first three lines."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        lines = [line for problem in self.problems for line in problem.splitlines() if line.strip()]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 1 :] = [f"and {len(lines) - MAX_LINES + 1} more"]
        return "\n".join(lines)


class CommandFailed(ConfigError):
    """A failure after the build, with a known cause: told in lines as well, and what was done so far stays."""


@contextmanager
def building() -> Iterator[None]:
    """Marks the part of a command where a ValueError or OSError is about the user's settings, not a crash."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, OSError, LostProcess) as error:
        raise ConfigError(str(error)) from error


def one_line(text: str) -> str:
    """The same without what would break or colour a line: a line feed becomes a backslash and an n."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
