"""A run whose first stage is 1v1 and whose last one mixes all team sizes up to 3v3."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlbot import recording
from rlbot.policy import load
from tests.launching import run_command

EVERY = "curriculum.stages.every.teams={1v1: 1, 1v2: 1, 1v3: 1, 2v2: 1, 2v3: 1, 3v3: 1}"
TRAIN = [
    "experiment=debug", "curriculum=all_sizes", "curriculum.stages.duel.until=250", "curriculum.stages.small.until=500",
    EVERY, "env.num_envs=6", "learner.anneal_learning_rate=false", "hardware.threads=1",
    "rating.match_seconds=2", "hydra.run.dir=outputs/run",
]  # fmt: skip


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    status, out, err = run_command(folder, "rlbot.train", *TRAIN, "env.workers=2", "total_timesteps=1200")
    assert (status, err) == (0, "")
    assert "every (1v1+1v2+1v3+2v2+2v3+3v3 against self, until the end)" in out
    return folder / "outputs" / "run"


def weights(run: Path) -> bytes:
    return max((run / "checkpoints").glob("step_*")).joinpath("model.safetensors").read_bytes()


@pytest.mark.parametrize("overlap", [False, True])
def test_a_run_that_is_resumed_in_the_last_stage_ends_with_the_same_bits(
    overlap: bool, straight: Path, tmp_path: Path
) -> None:
    """Without workers, which cannot overlap; with three it can, and then a whole run is compared with a resumed one."""
    if overlap:
        more = ["env.workers=3", "learner.overlap=true", "rating.enabled=false"]
        whole = tmp_path / "whole"
        whole.mkdir()
        assert run_command(whole, "rlbot.train", *TRAIN, *more, "total_timesteps=1200")[0] == 0
        straight = whole / "outputs" / "run"
    else:
        more = ["env.workers=0", "rating.enabled=false"]
    for arguments in ([*TRAIN, *more, "total_timesteps=800"], ["resume=latest", "total_timesteps=1200"]):
        status, _, err = run_command(tmp_path, "rlbot.train", *arguments)
        assert (status, err) == (0, "")
    assert weights(tmp_path / "outputs" / "run") == weights(straight)


def test_it_is_rated_and_recorded_in_3v3(straight: Path) -> None:
    assert list(json.loads((straight / "ratings.json").read_text())["ratings"]) == ["1v1", "2v2", "3v3"]
    match = recording.load(next(straight.glob("recordings/*_3v3_0.npz")))
    assert match.slots == [0, 1, 2, 3, 4, 5] and match.states.team_slots == 3
    bot = load(straight)
    assert bot.observation.name == "six_cars" and bot.act(np.zeros((2, 232))).shape == (2, 8)


@pytest.mark.parametrize("sizes", [(3, 3), (1, 3), (2, 1)])
def test_its_bot_is_evaluated_in_any_team_size(sizes: tuple[int, int], straight: Path) -> None:
    status, _, err = run_command(
        straight.parents[1], "rlbot.evaluate", "matches=2", "match_seconds=2", "workers=0", "record=1",
        f"team_size={sizes[0]}", f"opponent_team_size={sizes[1]}", f"hydra.run.dir=result-{sizes[0]}{sizes[1]}",
    )  # fmt: skip
    assert (status, err) == (0, "")
    folder = straight.parents[1] / f"result-{sizes[0]}{sizes[1]}"
    match = recording.load(folder / "recordings" / "match_000.npz")
    assert len(match.slots) == sum(sizes) and np.isfinite(match.decisions["value"][0, : sizes[0]]).all()


def test_a_bot_that_sees_two_cars_a_team_is_refused_where_a_team_has_three(straight: Path, tmp_path: Path) -> None:
    few = ["experiment=debug", "curriculum=duel", "total_timesteps=256", "env.workers=0", "rating.enabled=false"]
    assert run_command(tmp_path, "rlbot.train", *few, "hydra.run.dir=outputs/few")[0] == 0
    small = tmp_path / "outputs" / "few"
    for command, arguments, key in (
        ("rlbot.evaluate", [f"checkpoint={small}", "team_size=3"], "checkpoint: was trained with env.observation=def"),
        ("rlbot.evaluate", [f"checkpoint={straight}", f"opponent={small}", "opponent_team_size=3"], "opponent: was"),
        ("rlbot.watch", [f"checkpoint={small}", "opponent_team_size=3"], "checkpoint: was trained with env.observ"),
        ("rlbot.train", [*TRAIN, f"curriculum.stages.every.opponent={small}"], "curriculum.stages.every.opponent="),
        ("rlbot.train", [*TRAIN, f"rating.anchors=[{small}]"], f"rating.anchors.0={small}: was trained with env.obs"),
        ("rlbot.train", ["curriculum=all_sizes", "env.observation=default"], "curriculum.stages.every.teams.1v3: env."),
        ("rlbot.train", [f"resume={small}", "curriculum=all_sizes"], "curriculum.stages.every.teams.1v3: env.obse"),
        ("rlbot.bench", ["bench.teams=[2v2,3v3]"], "bench.teams.1: env.observation=default is for smaller teams"),
    ):
        status, _, err = run_command(tmp_path, command, *arguments)
        assert status == 1 and err.startswith(f"[ERROR] {key}"), err
        assert "six_cars" in err and len(err.splitlines()) <= 3
