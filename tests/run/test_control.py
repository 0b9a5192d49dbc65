"""Requests to a training as files: order, answers, withdrawal, leftovers, and no training at all."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rlbot.run import Requests, locked
from rlbot.run.control import FOLDER, ask
from rlbot.run.lock import is_locked


@contextmanager
def training(run: Path, answers: Callable[[Requests], None]) -> Iterator[None]:
    """A process that trains in `run`, here a thread: calls `answers` all the time."""
    over = threading.Event()
    with locked(run, print):
        requests = Requests(run)

        def work() -> None:
            while not over.wait(0.02):
                answers(requests)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def echo(requests: Requests) -> None:
    for request in requests.take():
        requests.answer(request, request.command != "stop", f"{request.command} {dict(request.settings)}")


def test_a_request_is_answered_and_leaves_nothing(tmp_path: Path) -> None:
    with training(tmp_path, echo):
        assert ask(tmp_path, "set", {"a.b": {"from": 1.0}}, 10) == (True, "set {'a.b': {'from': 1.0}}")
        assert ask(tmp_path, "stop", {}, 10) == (False, "stop {}")
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_several_at_once_are_answered_each_and_in_order(tmp_path: Path) -> None:
    seen: list[str] = []
    found: dict[int, Any] = {}
    waiting = threading.Event()

    def answers(requests: Requests) -> None:
        if waiting.is_set():
            taken = requests.take()
            seen.extend(request.id for request in taken)
            for request in taken:
                requests.answer(request, True, str(request.settings["n"]))

    with training(tmp_path, answers):
        askers = [
            threading.Thread(target=lambda n=n: found.setdefault(n, ask(tmp_path, "set", {"n": n}, 20)))
            for n in range(5)
        ]
        for thread in askers:
            thread.start()
        time.sleep(0.3)
        waiting.set()
        for thread in askers:
            thread.join()
    assert found == {n: (True, str(n)) for n in range(5)} and seen == sorted(seen) and len(seen) == 5


def test_without_an_answer_it_is_withdrawn(tmp_path: Path) -> None:
    with (
        training(tmp_path, lambda requests: None),
        pytest.raises(ValueError, match=r"no answer .* within 0\.3 s, so the request was withdrawn"),
    ):
        ask(tmp_path, "save", {}, 0.3)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_training_that_ends_meanwhile_is_told(tmp_path: Path) -> None:
    with locked(tmp_path, print):
        requests = Requests(tmp_path)
        threading.Thread(target=lambda: (time.sleep(0.3), requests.take())).start()
        asker: list[BaseException] = []

        def work() -> None:
            try:
                ask(tmp_path, "save", {}, 20)
            except ValueError as error:
                asker.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.6)
    thread.join(20)
    assert str(asker[0]) == f"the training in {tmp_path} has ended without an answer"
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_leftovers_of_a_killed_training_are_removed_and_other_files_are_not(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    for name in ("1-a.request.json", "2-b.taken.json", "3-c.answer.json", "notes.txt"):
        (folder / name).write_text("{}")
    assert Requests(tmp_path).take() == []
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


def test_what_is_no_request_is_answered_and_does_not_disturb_the_others(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    assert requests.take() == []  # there is no folder yet
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "1.request.json").write_text("no JSON")
    (tmp_path / FOLDER / "2.request.json").write_text('{"command": "save", "settings": {}}')
    assert [request.command for request in requests.take()] == ["save"]
    assert "is no request of rlbot.control" in (tmp_path / FOLDER / "1.answer.json").read_text()


def test_no_training_runs_there(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path, print):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with pytest.raises(ValueError, match=f"no training runs in {tmp_path.name}"):
        ask(Path(os.path.relpath(tmp_path, tmp_path.parent)), "save", {}, 1)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with locked(tmp_path, print):
        (tmp_path / FOLDER).touch()  # where nobody can make a folder
        with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path / FOLDER))} cannot be written: "):
            ask(tmp_path, "save", {}, 1)
