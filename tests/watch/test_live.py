"""A live match: it plays only for listeners, at the pace of the clock, and does what is wished."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rlbot.run import point_latest, save_checkpoint
from rlbot.settings.command import compose
from rlbot.sim import version
from rlbot.training.build import make_model, policy_document
from rlbot.watch.lineup import RunFollower, lineup
from rlbot.watch.live import Lineup, LiveMatch
from rlbot.watch.server import Events
from tests.rating.test_matches import driver

PATIENCE = 30.0  # s


def checkpoint(folder: Path, timesteps: int) -> Path:
    """Of an untrained network, with its critic."""
    config = compose(["experiment=debug", "model.hidden=[8]"])
    tensors, documents = {"model": make_model(config).state_dict()}, {"policy": policy_document(config)}
    return save_checkpoint(folder, timesteps, tensors, documents, run_id="test")


@pytest.fixture
def match() -> Iterator[LiveMatch]:
    match = LiveMatch(lineup("random", "idle"), (1, 2), seed=3)
    match.start()
    yield match
    match.close()


def following(events: Events, name: str, accept: Callable[[Any], bool] = lambda document: True) -> Any:
    """The next document of an event that is accepted."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        event = events.get(timeout=PATIENCE)
        assert event is not None, "the match has ended"
        if event[0] == name and accept(event[1]):
            return event[1]
    raise AssertionError(f"no such {name}")


def test_what_a_listener_is_told(match: LiveMatch) -> None:
    events = match.listen()
    header = following(events, "header")
    assert [(car["slot"], car["name"]) for car in header["cars"]] == [(0, "random"), (2, "idle"), (3, "idle")]
    assert header["engine"] == match.engine == version("auto")
    assert header["tick_rate"] == 120 and len(header["action_table"]) == 90
    assert following(events, "status") == {"paused": False, "speed": 1.0, "deterministic": False, "message": ""}
    frames = [following(events, "frame") for _ in range(6)]
    assert [frame["tick"] for frame in frames] == [8 * k for k in range(6)]
    assert frames[0]["ball"]["pos"][:2] == [0, 0] and frames[0]["score"] == [0, 0] and len(frames[0]["pads"]) == 34
    assert frames[5]["cars"][0]["pos"] != frames[0]["cars"][0]["pos"], "random play moves"
    assert frames[5]["cars"][1]["controls"] == [0.0] * 8


def test_a_bot_is_shown_on_the_engine_that_it_was_trained_on(engine: str) -> None:
    bot = dataclasses.replace(driver(50), engine=version(engine))
    assert LiveMatch(lineup(bot, "idle"), (1, 1)).engine == bot.engine


def test_it_plays_only_while_there_are_listeners(match: LiveMatch) -> None:
    events = match.listen()
    following(events, "frame", lambda frame: frame["tick"] >= 24)
    match.leave(events)
    time.sleep(0.3)
    told = match.listen()
    tick = following(told, "frame")["tick"]
    match.leave(told)
    time.sleep(0.5)
    assert following(match.listen(), "frame")["tick"] <= tick + 16


def test_pause_step_and_speed(match: LiveMatch) -> None:
    events = match.listen()
    match.command({"paused": True})
    assert following(events, "status", lambda status: status["paused"])
    match.leave(events)
    events = match.listen()
    tick = following(events, "frame")["tick"]
    match.command({"step": 1})
    assert following(events, "frame")["tick"] == tick + 8
    time.sleep(0.3)
    assert events.empty()
    match.command({"speed": 4})
    match.command({"paused": False})
    assert following(events, "status", lambda status: not status["paused"])["speed"] == 4
    began = time.monotonic()
    following(events, "frame", lambda frame: frame["tick"] >= tick + 8 + 480)
    assert time.monotonic() - began > 0.5, "4 s of play take a second"


def test_the_ball_is_placed_and_a_match_begins_anew(match: LiveMatch) -> None:
    events = match.listen()
    following(events, "frame", lambda frame: frame["tick"] >= 16)
    match.command({"paused": True})
    match.command({"ball": [-1000, 2000]})
    frame = following(events, "frame", lambda frame: frame["ball"]["pos"][:2] == [-1000, 2000])
    assert frame["ball"]["vel"] == [0, 0, 0] and frame["tick"] > 0
    match.command({"restart": True})
    following(events, "header")
    frame = following(events, "frame")
    assert (frame["tick"], frame["ball"]["pos"][:2], frame["score"]) == (0, [0, 0], [0, 0])


@pytest.mark.parametrize(
    "command",
    [
        {}, {"paused": 1}, {"speed": 3}, {"speed": True}, {"speed": [1]}, {"step": 0}, {"ball": [0]}, {"ball": "there"},
        {"ball": [0, float("nan")]}, {"ball": [5000, 0]}, {"ball": [True, 0]}, {"restart": False}, {"quit": True},
        {"paused": True, "speed": 1}, {"deterministic": "yes"},
    ],
)  # fmt: skip
def test_other_commands_are_refused(match: LiveMatch, command: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"one command at a time|cannot be"):
        match.command(command)


def test_a_goal_shows_its_last_state_and_a_kickoff() -> None:
    bot = driver(50)
    match = LiveMatch(Lineup((bot, "idle"), ("driver", "idle")), (1, 1), deterministic=True)
    match.start()
    events = match.listen()
    match.command({"speed": 4})
    frames: list[Any] = []
    while not (frames and frames[-1]["events"] and any(event["kind"] == "goal" for event in frames[-1]["events"])):
        frames.append(following(events, "frame"))
        assert len(frames) < 3000
    after = following(events, "frame")
    match.close()
    goal = frames[-1]
    (event,) = (event for event in goal["events"] if event["kind"] == "goal")
    assert sum(goal["score"]) == 1 and goal["score"][event["team"]] == 1 and abs(goal["ball"]["pos"][1]) > 5000
    assert after["tick"] == goal["tick"] and after["ball"]["pos"][:2] == [0, 0]
    car = frames[0]["cars"][0]
    assert (
        car["topActions"][0] == car["action"] and car["actionProbability"] > 0.9 and len(car["topProbabilities"]) == 10
    )
    assert "value" not in car, "this bot came from no checkpoint with a critic"


def test_a_run_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rlbot.watch.lineup._CHECK_INTERVAL", 0.0)
    (tmp_path / "checkpoints").mkdir()
    follower = RunFollower(str(tmp_path), None)
    first = follower.first()
    assert first.names == ("random", "random") and "no checkpoint yet" in first.title and not follower.found
    assert follower.newest() is None
    for timesteps in (100, 2000):
        checkpoint(tmp_path / "checkpoints", timesteps)
        newest = follower.newest()
        assert newest is not None and newest.names == (f"step_{timesteps:09d}",) * 2
        assert newest.title == f"{timesteps:,} timesteps" and newest.tick_skip == 8
        assert follower.newest() is None, "nothing new"
    (tmp_path / "checkpoints" / "step_000002000" / "model.safetensors").write_bytes(b"torn")
    assert follower.newest().names[0] == "step_000000100"  # type: ignore[union-attr]


def test_the_latest_run_is_another_one_in_the_course_of_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None at first, then one after the other, whose directories may vanish."""
    monkeypatch.setattr("rlbot.watch.lineup._CHECK_INTERVAL", 0.0)
    monkeypatch.chdir(tmp_path)
    follower = RunFollower("latest", None)
    assert "run=latest: no checkpoint yet" in follower.first().title and not follower.found
    for k in (1, 2):
        run = tmp_path / "outputs" / f"run{k}"
        (run / "checkpoints").mkdir(parents=True)
        point_latest(tmp_path / "outputs", run)
        assert follower.newest() is None, "it has no checkpoint yet"
        checkpoint(run / "checkpoints", 100)
        newest = follower.newest()
        assert newest is not None and follower.found and newest.players[0].path.parents[1] == run.resolve()  # type: ignore[union-attr]
    shutil.rmtree(run)
    assert follower.newest() is None
    shutil.rmtree(tmp_path / "outputs")
    assert follower.newest() is None


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="run=nowhere: there is no directory"):
        RunFollower("nowhere", None).first()


def test_new_players_begin_a_match_of_their_own() -> None:
    lineups = iter([lineup("idle", "random")])
    match = LiveMatch(lineup("random", None), (1, 1), next_lineup=lambda: next(lineups, None))
    match.start()
    events = match.listen()
    following(events, "header", lambda header: header["cars"][0]["name"] == "random")
    following(events, "header", lambda header: header["cars"][0]["name"] == "idle")
    assert following(events, "frame")["tick"] == 0
    match.close()
