"""Requests to a training that runs, as files in its directory: `python -m rlbot.control` writes one, the training
answers it between two iterations.

    control/ID.request.json   written by the command, under another name until it is whole
    control/ID.taken.json     the same, once the training has read it
    control/ID.answer.json    the answer, which the command reads and removes

Each request has its own files and its ID begins with the time, so that several commands at once do not disturb each
other and are answered in order.
"""

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbot.run.files import from_json, to_json, write_atomic
from rlbot.run.lock import is_locked

FOLDER = "control"
_POLL = 0.1  # s between two looks for the answer
_LATE = 60.0  # s that an answer may take once the training has read the request


@dataclass(frozen=True)
class Request:
    """`command`: save, stop, pause, resume or set. `settings`: those to set, by their dotted names."""

    id: str
    command: str
    settings: Mapping[str, Any]


class Requests:
    """The training's end. It must hold the lock of the run: files that an earlier training left are removed."""

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        for kind in ("request", "taken", "answer"):
            for file in self._folder.glob(f"*.{kind}.json"):
                with suppress(OSError):
                    file.unlink()

    def take(self) -> list[Request]:
        """Returns the new requests, oldest first. Each must be answered."""
        found = []
        for file in sorted(self._folder.glob("[!.]*.request.json")):
            name = file.name.removesuffix(".request.json")
            taken = file.with_name(f"{name}.taken.json")
            try:
                file.replace(taken)  # the command may withdraw it until now
                content = from_json(taken.read_bytes())
                found.append(Request(name, str(content["command"]), dict(content["settings"])))
            except (ValueError, KeyError, TypeError):
                self.answer(Request(name, "", {}), False, f"{taken} is no request of rlbot.control")
            except OSError:  # withdrawn
                continue
        return found

    def answer(self, request: Request, ok: bool, text: str) -> None:
        """Answers a request. If the file cannot be written, the command says that there was no answer."""
        with suppress(OSError):
            write_atomic(self._folder / f"{request.id}.answer.json", to_json({"ok": ok, "text": text}))
        with suppress(OSError):
            (self._folder / f"{request.id}.taken.json").unlink()


def ask(run: Path, command: str, settings: Mapping[str, Any], timeout: float) -> tuple[bool, str]:
    """Sends a request to the training in the directory `run` and waits at most `timeout` seconds until it is read.

    Returns whether it was done, and the line that says so. Raises ValueError if no training runs there, it does not
    answer, or the directory cannot be written."""
    if not is_locked(run):
        raise ValueError(f"no training runs in {run}")
    folder, name = run / FOLDER, f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    asked, taken, answer = (folder / f"{name}.{kind}.json" for kind in ("request", "taken", "answer"))
    content = to_json({"command": command, "settings": dict(settings)})
    try:
        folder.mkdir(exist_ok=True)
        write_atomic(asked, content)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from error
    began = time.monotonic()
    while True:
        time.sleep(_POLL)
        waiting = asked.exists() or taken.exists()  # looked for before the answer, which is there when these are gone
        with suppress(OSError, ValueError):  # Windows may not let it be read in the moment in which it gets its name
            found = from_json(answer.read_bytes())
            answer.unlink()
            return bool(found["ok"]), str(found["text"])
        if not is_locked(run):
            _remove(asked, taken)
            raise ValueError(f"the training in {run} has ended without an answer")
        if not waiting:  # the training started in this moment and removed what it took for a leftover
            write_atomic(asked, content)
        late = time.monotonic() - began
        if (late > timeout and _remove(asked)) or late > timeout + _LATE:
            raise ValueError(
                f"no answer from the training in {run} within {timeout:g} s, so the request was withdrawn; it answers "
                "after each iteration: timeout=600 waits longer"
            )


def _remove(*files: Path) -> bool:
    """Removes files; returns whether the first was there."""
    removed = []
    for file in files:
        try:
            file.unlink()
            removed.append(True)
        except OSError:
            removed.append(False)
    return removed[0]
