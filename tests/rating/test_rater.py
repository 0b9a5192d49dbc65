"""Ratings beside a run: real matches in a real process, what a resume finds, and a process that dies."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import rlbot
from rlbot import recording
from rlbot.bots import StateBot
from rlbot.curriculum import Stage
from rlbot.env.observation import OBSERVATION_SIZE
from rlbot.policy import Bot, Network
from rlbot.rating.bradley_terry import ANCHORS, Games, fit
from rlbot.rating.rater import Anchor, Plan, Rated, Rater, Rating, Standings, _Answer, rated_teams
from rlbot.run import save_checkpoint
from rlbot.settings.command import compose
from rlbot.training.build import make_model, policy_document
from rlbot.values.target import Target

ROOT = Path(rlbot.__file__).parents[1]
PLAN = Plan(("1v1",), matches=2, opponents=1, seconds=1.0, engine="rocketsim2")
LONG = 120.0  # s until a process that rates is given up
# 3 of 4 against what is fixed at 0, and 1 of 2 against the former: 191 = 400 log10(3), less what the prior holds.
GAMES = [Games("100", "random", 750, 0, 250), Games("200", "100", 400, 200, 400), Games("300", "200", 0, 0, 1000)]


def bot(timesteps: int, tick_skip: int = 8) -> Bot:
    """A bot that chooses any action, like random."""
    network = Network(OBSERVATION_SIZE, (2,), False, "relu", "table")
    return Bot(network, np.zeros(network.size(), np.float32), tick_skip, 0, timesteps, Path(f"step_{timesteps:09d}"))


def forever() -> bool:
    return False


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def rater(tmp_path: Path, warnings: list[str]) -> Iterator[Rater]:
    rater = Rater(PLAN, tmp_path / "ratings.json", warnings.append)
    yield rater
    rater.close()


def timesteps(rated: list[Rated]) -> list[int]:
    return [each.timesteps for each in rated]


def write(file: Path, games: list[Games]) -> None:
    file.write_text(json.dumps({"games": {"1v1": games}}))


def test_versions_are_rated_in_a_process_beside_this_one(rater: Rater, tmp_path: Path, warnings: list[str]) -> None:
    rater.submit(bot(100))
    assert rater.waiting() == {100} and rater.scores() == {}
    (first,) = rater.wait(LONG, forever)
    assert first.timesteps == 100 and list(first.ratings) == ["1v1"] and rater.waiting() == set()
    for each in (200, 300, 400):
        rater.submit(bot(each))
    assert rater.waiting() == {200, 400}, "300 waited, and 400 took its place"
    assert rater.wait(60.0, lambda: True) == [] and rater.waiting() == {200, 400}, "nobody waits any more"
    assert timesteps(rater.wait(LONG, forever)) == [200, 400]
    saved = json.loads((tmp_path / "ratings.json").read_text())
    games = [Games(*row) for row in saved["games"]["1v1"]]
    pairs = [("100", "random"), ("100", "idle"), ("200", "random"), ("200", "idle"), ("200", "100")]
    assert [(each.first, each.second) for each in games] == [
        *pairs, ("400", "random"), ("400", "idle"), ("400", "200")
    ]  # fmt: skip
    assert all(each.matches == PLAN.matches for each in games)
    ratings = fit(games)
    assert rater.scores() == {each: pytest.approx(ratings[str(each)]) for each in (100, 200, 400)}
    assert set(saved["ratings"]["1v1"]) == {"100", "200", "400"} and warnings == []


def test_ratings_hang_on_the_anchors_alone() -> None:
    ratings = Standings.of(GAMES).ratings
    assert list(ratings) == [100, 200, 300]
    assert [ratings[each].points for each in (100, 200)] == pytest.approx([191, 191], abs=2)
    assert ratings[300].points < -300
    assert ratings[200].error > ratings[100].error > 10
    assert str(Rating(123.4, 22.0)) == "+123 (95%: +80 to +167)"


def test_a_resumed_run_goes_on_with_its_games_and_the_versions_it_still_has(
    rater: Rater, tmp_path: Path, warnings: list[str]
) -> None:
    """Not with those of a later version, which the run takes back."""
    config = compose(["experiment=debug", "model.hidden=[8]"])
    tensors, documents = {"model": make_model(config).state_dict()}, {"policy": policy_document(config)}
    for each in (100, 150, 300):
        save_checkpoint(tmp_path, each, tensors, documents, run_id="test")
    write(tmp_path / "ratings.json", GAMES)
    rater.restore(250, tmp_path)
    assert rater.scores() == {100: pytest.approx(191, abs=2), 200: pytest.approx(191, abs=2)}
    rater.submit(bot(300))
    assert timesteps(rater.wait(LONG, forever)) == [300]
    games = json.loads((tmp_path / "ratings.json").read_text())["games"]["1v1"]
    assert games[:2] == [list(each) for each in GAMES[:2]]
    assert [game[:2] for game in games[2:]] == [["300", "random"], ["300", "idle"], ["300", "100"]]
    assert warnings == []


def test_versions_also_meet_the_anchors_of_the_users_own(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "mine.py").write_text("def act(state, cars, throttle):\n    return throttle + 0 * cars.controls\n")
    anchors = tuple(
        Anchor(name, StateBot(name, Target(f"{tmp_path / 'mine.py'}:act", {"throttle": throttle}), "rating.anchors"), r)
        for name, throttle, r in (("still", 0.0, None), ("forward", 1.0, 500.0))
    )
    rater = Rater(replace(PLAN, anchors=anchors), tmp_path / "ratings.json", warnings.append)
    try:
        rater.submit(bot(100))
        (rated,) = rater.wait(LONG, forever)
    finally:
        rater.close()
    assert set(rated.against) == {f"{name}/{what}_1v1" for name in ("still", "forward") for what in ("score", "goals")}
    saved = json.loads((tmp_path / "ratings.json").read_text())
    games = [Games(*game) for game in saved["games"]["1v1"]]
    assert [each.second for each in games] == ["random", "idle", "still", "forward"] and set(
        saved["ratings"]["1v1"]
    ) == {"100"}
    for name, game in zip(("still", "forward"), games[2:], strict=True):
        assert rated.against[f"{name}/score_1v1"] == (game.wins + game.draws / 2) / PLAN.matches
    assert rated.ratings["1v1"].points == fit(games, {**ANCHORS, "forward": 500.0})["100"] > fit(games)["100"]
    again = Rater(replace(PLAN, anchors=anchors), tmp_path / "ratings.json", warnings.append)
    again.restore(100, tmp_path)
    assert again.scores() == {100: rated.ratings["1v1"].points} and warnings == []


@pytest.mark.parametrize("content", ["{", "[]", '{"games": {"1v1": [["1", "random", -1, 0, 0]]}}', '{"ratings": 1}'])
def test_a_broken_file_is_set_aside(rater: Rater, tmp_path: Path, warnings: list[str], content: str) -> None:
    rater.restore(100, tmp_path)
    assert warnings == [], "there is none yet"
    (tmp_path / "ratings.json").write_text(content)
    rater.restore(100, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.broken.json"]
    assert len(warnings) == 1 and "ratings start from zero" in warnings[0] and rater.scores() == {}


def opponents(rater: Rater, bot: Bot) -> list[int]:
    return [each.timesteps for each in rater._opponents(bot)]


def test_opponents_are_the_newest_the_best_and_some_of_the_past(tmp_path: Path, warnings: list[str]) -> None:
    rater = Rater(replace(PLAN, opponents=3), tmp_path / "ratings.json", warnings.append)
    versions = range(100, 1100, 100)
    write(tmp_path / "ratings.json", [Games(str(each), "random", 9 if each == 300 else 5, 0, 5) for each in versions])
    rater.restore(1000, tmp_path)
    assert opponents(rater, bot(1100)) == [], "their checkpoints are gone"
    rater._bots = {each: bot(each, tick_skip=4 if each == 1000 else 8) for each in versions}
    chosen = {each: opponents(rater, bot(each)) for each in range(1100, 3000, 100)}
    assert all(each[:2] == [900, 300] and len(set(each)) == 3 for each in chosen.values()), "1000 has another pace"
    assert len({each[2] for each in chosen.values()}) > 4


def test_the_versions_kept_in_memory_stay_spread_over_the_run(
    rater: Rater, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlbot.rating.rater._MAX_BOTS", 5)
    for each in range(100, 1700, 100):
        rater._playing = bot(each)
        games = [Games(str(n), "random", 9 if n == 200 else 5, 0, 5) for n in range(100, each + 100, 100)]
        rater._take(_Answer({"1v1": Standings.of(games)}, {}, {}, {}))
    kept = list(rater._bots)
    assert len(kept) == 5 and {100, 200, 1600} <= set(kept), "the first, the best, the newest"
    assert max(np.diff(kept)) <= 800


def test_a_disk_that_refuses_the_games_gets_them_with_the_next(tmp_path: Path, warnings: list[str]) -> None:
    rater = Rater(PLAN, tmp_path / "run" / "ratings.json", warnings.append)
    for count, each in enumerate((100, 200), start=1):
        rater._playing = bot(each)
        games = [Games(str(n), "random", 5, 0, 5) for n in (100, 200)[:count]]
        rater._take(_Answer({"1v1": Standings.of(games)}, {}, {}, {}))
        (tmp_path / "run").mkdir(exist_ok=True)
    assert len(warnings) == 1 and "ratings.json cannot be written: No such file or directory" in warnings[0]
    assert len(json.loads((tmp_path / "run" / "ratings.json").read_text())["games"]["1v1"]) == 2


def test_what_is_rated_is_what_is_trained() -> None:
    def stages(*teams: dict[str, float]) -> list[Stage]:
        return [Stage(str(i), None, each, {"self": 1.0}) for i, each in enumerate(teams)]

    assert rated_teams(stages({"1v1": 1.0}, {"1v2": 1.0}, {"2v2": 1.0})) == ("1v1", "2v2")
    assert rated_teams(stages({"1v2": 1.0, "2v2": 0.5, "1v1": 0.0})) == ("2v2",)
    assert rated_teams(stages({"1v2": 1.0})) == ("1v1",)


def test_a_score_is_the_mean_over_the_team_sizes(tmp_path: Path, warnings: list[str]) -> None:
    rater = Rater(replace(PLAN, teams=("1v1", "2v2")), tmp_path / "ratings.json", warnings.append)
    rater._standings["1v1"] = Standings([], {100: Rating(50.0, 1.0), 200: Rating(10.0, 1.0)})
    rater._standings["2v2"] = Standings([], {100: Rating(-20.0, 1.0)})
    assert rater.scores() == {100: 15.0}


def test_a_process_that_is_killed_is_one_warning(rater: Rater, warnings: list[str]) -> None:
    rater.submit(bot(100))
    assert rater._child is not None
    rater._child.process.kill()
    assert rater.wait(LONG, forever) == [] and rater.waiting() == set()
    rater.submit(bot(200))
    assert rater.poll() == [] and rater.waiting() == set()
    assert len(warnings) == 1 and warnings[0].startswith("The rating process ended with exit code")


def test_a_rating_that_fails_is_one_warning(tmp_path: Path, warnings: list[str]) -> None:
    rater = Rater(replace(PLAN, meshes=str(tmp_path)), tmp_path / "ratings.json", warnings.append)
    rater.submit(bot(100))
    assert rater.wait(LONG, forever) == []
    assert len(warnings) == 1 and warnings[0].startswith("The rating process failed: ")
    assert rater._child is not None and not rater._child.process.is_alive()


PARENT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_rater import PLAN, bot, replace
from rlbot.rating.rater import Rater

if __name__ == "__main__":
    rater = Rater(replace(PLAN, seconds=1e5), Path("ratings.json"), print)
    rater.submit(bot(100))
    while rater._playing is None:
        assert rater.poll() == []
        time.sleep(0.01)
    print(rater._child.process.pid, flush=True)
    sys.stdin.read(1)
"""


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_the_process_goes_with_its_parent(tmp_path: Path, how: str) -> None:
    (tmp_path / "parent.py").write_text(PARENT.format(tests=str(Path(__file__).parent)), encoding="utf-8")
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "parent.py"], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    process = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.5)  # into the first match
    assert process.is_running()
    if how == "is killed":
        parent.kill()
    parent.communicate(b"." if how == "ends" else None, timeout=300)
    psutil.wait_procs([process], timeout=10)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_recordings_and_pictures_come_with_the_ratings(tmp_path: Path, warnings: list[str]) -> None:
    plan = replace(PLAN, teams=("2v2",), record_interval=200, record_matches=2)
    rater = Rater(plan, tmp_path / "ratings.json", warnings.append)
    for each in (100, 200, 300):
        rater.submit(bot(each))
        (rated,) = rater.wait(LONG, forever)
        assert set(rated.pictures) == {"clip_2v2", "heatmap_2v2"}
        for name, (data, width, height) in rated.pictures.items():
            with Image.open(io.BytesIO(data)) as image:
                assert image.size == (width, height) and (getattr(image, "n_frames", 1) > 5) == ("clip" in name)
    rater.close()
    found = sorted(path.name for path in (tmp_path / "recordings").iterdir())
    assert found == sorted(
        f"step_{each:09d}_{team}_{k}.npz" for each in (100, 300) for team in plan.teams for k in (0, 1)
    )
    first = recording.load(tmp_path / "recordings" / "step_000000100_2v2_0.npz")
    assert [car["name"] for car in first.header["cars"]] == ["step_000000100"] * 2 + ["random"] * 2
    later = recording.load(tmp_path / "recordings" / "step_000000300_2v2_0.npz")
    assert {car["name"] for car in later.header["cars"]} == {"step_000000300", "step_000000200"}
    assert later.seconds == 1.0 and warnings == []


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "recordings").write_text("in the way")
    rater = Rater(replace(PLAN, record_interval=1), tmp_path / "ratings.json", warnings.append)
    rater.submit(bot(100))
    assert timesteps(rater.wait(LONG, forever)) == [100]
    rater.close()
    assert len(warnings) == 1 and "recordings cannot be written" in warnings[0]
