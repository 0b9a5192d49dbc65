"""`python -m rlbot.evaluate` in real processes, on a run that was really trained, for seconds."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rlbot import recording
from rlbot.run import load_checkpoint, save_checkpoint
from rlbot.sim import version
from tests.launching import needs, run_command, start_command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of two checkpoints lies in outputs/, with latest leading to it."""
    folder = tmp_path_factory.mktemp("evaluate")
    status, _, err = run_command(
        folder, "rlbot.train", "experiment=debug", "curriculum=duel", "total_timesteps=256", "env.workers=0",
        "learner.batch_size=128", "checkpoint_interval=128", "hydra.run.dir=outputs/run",
    )  # fmt: skip
    assert status == 0, err
    return folder


def evaluate(folder: Path, *arguments: str, file: str = "evaluation.json") -> Any:
    status, _, err = run_command(folder, "rlbot.evaluate", "match_seconds=4", "hydra.run.dir=result", *arguments)
    assert (status, err) == (0, "")
    return json.loads((folder / "result" / file).read_text())


def test_what_an_evaluation_leaves(folder: Path) -> None:
    status, out, err = run_command(folder, "rlbot.evaluate", "matches=5", "match_seconds=4", "workers=0")
    assert (status, err) == (0, "") and out.isascii()
    (path,) = (folder / "outputs" / "evaluate").glob("*/*/evaluation.json")
    found = json.loads(path.read_text())
    assert found["wins"] + found["draws"] + found["losses"] == found["matches"] == 5
    assert found["win_rate_interval"][0] <= found["win_rate"] <= found["win_rate_interval"][1]
    assert found["players"]["opponent"] == {"name": "random"}
    assert found["players"]["checkpoint"]["timesteps"] == 256 and found["settings"]["match_seconds"] == 4
    assert [match["side"] for match in found["single_matches"]] == ["blue"] * 3 + ["orange"] * 2
    assert sum(match["goals_for"] for match in found["single_matches"]) == found["goals_for"]
    assert set(found["play"]["checkpoint"]) == set(found["play"]["opponent"]) >= {
        "touches_per_minute", "speed", "boost_used_per_minute", "air_share", "demolitions_per_minute",
        "shots_per_minute", "saves_per_minute", "passes_per_minute", "own_goals_per_minute",
    }  # fmt: skip
    assert found["play"]["checkpoint"]["speed"] > 100
    assert "[OK] Matches: 5/5 (100.0%)" in out and "step_000000256 against random, 5 matches" in out
    assert "win rate " in (path.parent / "evaluate.log").read_text()


def test_recordings_and_the_heat_map_of_an_evaluation(folder: Path) -> None:
    found = evaluate(folder, "matches=4", "record=2", "team_size=2", "opponent_team_size=1", "workers=0")
    names = sorted(path.name for path in (folder / "result" / "recordings").iterdir())
    assert names == ["match_000.npz", "match_002.npz"]
    match = recording.load(folder / "result" / "recordings" / "match_000.npz")
    single = found["single_matches"][0]
    assert match.score == (single["goals_for"], single["goals_against"]) and match.seconds == pytest.approx(4.0)
    assert match.header["engine"] == found["engine"] == version("auto")
    assert [car["name"] for car in match.header["cars"]] == ["step_000000256", "step_000000256", "random"]
    assert np.isfinite(match.decisions["value"][0, :2]).all(), "the critic's value"
    assert (folder / "result" / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    evaluate(
        folder,
        "tournament=true",
        "checkpoint=outputs/run",
        "matches=2",
        "record=1",
        "workers=0",
        file="tournament.json",
    )
    assert (folder / "result" / "recordings" / "step_000000256_against_random_000.npz").is_file()


def test_the_seed_alone_decides(folder: Path) -> None:
    arguments = ("opponent=outputs/run/checkpoints/step_000000128", "matches=22", "opponent_team_size=2")
    alone = evaluate(folder, *arguments, "workers=0")
    shared = evaluate(folder, *arguments, "workers=2")
    del alone["settings"], shared["settings"]
    assert alone == shared
    assert alone["players"]["opponent"]["timesteps"] == 128
    other = evaluate(folder, *arguments, "workers=0", "seed=1")
    assert other["play"] != alone["play"]


def test_a_tournament(folder: Path) -> None:
    arguments = ("tournament=true", "checkpoint=outputs/run", "others=[latest]", "matches=4", "workers=0")
    found = evaluate(folder, *arguments, file="tournament.json")
    names = {row["name"] for row in found["ratings"]}
    assert names == {"step_000000128", "step_000000256", "run/step_000000256", "random", "idle"}
    assert len(found["pairings"]) == 9 and {
        pair["wins"] + pair["draws"] + pair["losses"] for pair in found["pairings"]
    } == {4}
    for row in found["ratings"]:
        low, high = row["interval"]
        assert low <= row["rating"] <= high and (low == high) == (row["role"] == "anchor")
    assert (folder / "result" / "ratings.png").read_bytes().startswith(b"\x89PNG")


def other_layout(documents: dict[str, Any]) -> None:
    documents["policy"]["observation"][0] = ["ball.pos", 4]


def other_pace(documents: dict[str, Any]) -> None:
    documents["policy"]["tick_skip"] = 4


def test_a_mistake_costs_a_line_and_perhaps_one_of_what_to_do(folder: Path, tmp_path: Path) -> None:
    tensors, documents = load_checkpoint(folder / "outputs" / "run" / "checkpoints" / "step_000000256")
    for timesteps, change in enumerate([other_layout, other_pace, dict.copy]):
        copied = json.loads(json.dumps(documents))
        change(copied)
        last = save_checkpoint(tmp_path, timesteps, tensors, copied, run_id="test")
    (last / "model.safetensors").write_bytes(b"torn")
    before = sorted(folder.rglob("*"))
    for arguments, expected in (
        (["checkpoint=outputs/none"], "checkpoint=outputs/none: no such folder; name a run, a checkpoint, or latest"),
        ([f"checkpoint={last}"], "model.safetensors has 4 bytes, expected"),
        ([f"opponent={tmp_path}/step_000000000"], "trained with another observation: entry 0 is ball.pos (4), in this"),
        ([f"opponent={tmp_path}/step_000000001"], "checkpoint was trained with tick_skip=8, opponent with tick_skip=4"),
        (["matchs=3"], "matchs: no such setting; did you mean matches?"),
        (["others=[outputs/run]"], "only a tournament has others; add tournament=true"),
    ):
        status, out, err = run_command(folder, "rlbot.evaluate", *arguments)
        assert (status, out) == (1, "") and expected in err
        assert len(err.splitlines()) == 1 + ("is intact" in err), "which checkpoint can be used instead"
        assert all(line.startswith("[ERROR] ") for line in err.splitlines())
    assert sorted(folder.rglob("*")) == before, "no directory is left behind"


def test_a_player_of_the_users_own_plays_and_is_named_if_it_fails(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "def act(state, cars, last):\n    return cars.random(8) / (cars.ticks.max() < last)\n"
    )
    own = "{_target_: 'mine.py:act', last: %d}"
    found = evaluate(folder, f"opponent={own % 10_000}", "matches=2", "workers=0")
    assert found["players"]["opponent"] == {"name": "act", "_target_": "mine.py:act", "last": 10_000}
    arguments = ("tournament=true", f"others=[{own % 100}]", "matches=2", "match_seconds=4", "workers=2")
    status, out, err = run_command(folder, "rlbot.evaluate", *arguments, "hydra.run.dir=failed")
    assert status == 1 and "Tournament of 2 versions, 1 others" in out
    shown = [line for line in err.splitlines() if line.startswith("[ERROR]")]
    assert len(shown) == 1 and shown[0].startswith("[ERROR] others.0: act: controls[") and "for throttle" in shown[0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_stopping_it_leaves_no_process(folder: Path, number: signal.Signals) -> None:
    needs(number)
    process = start_command(folder, "rlbot.evaluate", "matches=2000", "workers=2", "match_seconds=60")
    assert process.stdout is not None
    assert any("/2000 (" in line for line in process.stdout)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive and time.monotonic() - began < 10
    if number == signal.SIGINT:
        assert (process.returncode, err) == (130, "[ERROR] interrupted\n")
