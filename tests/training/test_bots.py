"""Opponents from files: bots are read once, at the run's pace, and kept in its checkpoints; players that act from the
state are kept in the copies of the user's own files."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rlbot.run import load_checkpoint
from rlbot.settings.command import compose
from rlbot.training import bots
from rlbot.training.build import build
from tests.launching import Launch

QUICK = ["experiment=debug", "curriculum=duel", "hardware.threads=1", "rating.enabled=false", "env.no_touch_limit=2"]
AGAINST = "curriculum.stages.touch.opponent={self: 0.5, rival: 0.5}"


@pytest.fixture
def rival(launch: Launch, tmp_path: Path) -> Path:
    """A run to play against, in the folder of the test."""
    made = launch(*QUICK, "total_timesteps=256", "env.workers=0", "hydra.run.dir=rival")
    assert made.status() == 0, made.lines
    return tmp_path / "rival"


def test_a_run_goes_on_against_an_opponent_whose_files_are_gone(rival: Path, launch: Launch, tmp_path: Path) -> None:
    """The same bits as a run that had them all the time, with other numbers of workers. One is a bot of the project,
    one a player of the user's own."""
    (tmp_path / "wild.py").write_text("def act(state, cars, reach):\n    return reach * (2 * cars.random(8) - 1)\n")
    own = "wild: {_target_: 'wild.py:act', reach: 0.5, share: 0.5}"
    arguments = [
        *QUICK,
        AGAINST.replace("}", f", {own}}}"),
        "env.num_envs=4",
        "learner.anneal_learning_rate=false",
        "checkpoint_interval=250",
        "seed=2",
    ]
    straight = launch(*arguments, "total_timesteps=1000", "env.workers=2", "hydra.run.dir=straight")
    assert straight.status() == 0, straight.lines
    stopped = launch(*arguments, "total_timesteps=500", "env.workers=1", "hydra.run.dir=stopped")
    assert stopped.status() == 0, stopped.lines
    shutil.rmtree(rival)
    (tmp_path / "wild.py").unlink()
    resumed = launch("resume=stopped", "total_timesteps=1000", "env.workers=0")
    assert resumed.status() == 0, resumed.lines
    (line,) = resumed.having("[WARN]")
    assert "wild.py is not there: curriculum.stages.touch.opponent.wild is taken from the copy in the run" in line

    one, other = (
        load_checkpoint(sorted((tmp_path / run / "checkpoints").glob("step_*"))[-1])[0]
        for run in ("straight", "stopped")
    )
    assert [list(group) for group in one.values()] == [list(group) for group in other.values()]
    assert [name for name in one["opponents"] if name.startswith("bot/") and name.endswith("rival")]
    for group, tensors in one.items():
        for name, tensor in tensors.items():
            assert (tensor == other[group][name]).all(), f"{group}/{name}"


def test_an_opponent_is_read_once_and_must_have_the_pace_of_the_run(
    rival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rival.parent)
    loads: list[str] = []
    load = bots.load
    monkeypatch.setattr(bots, "load", lambda name, setting: loads.append(name) or load(name, setting=setting))
    parts = build(compose([*QUICK, "env.workers=2", AGAINST, AGAINST.replace("touch", "score")]), print)
    shutil.rmtree(rival)
    made = parts.make_collector(1)  # its workers have no need of the files
    made.close()
    assert loads == ["rival"] and list(parts.bots) == ["rival"]

    arrays, document = bots.bots_state(parts.bots)
    (kept,) = bots.saved_bots({"opponents": arrays}, {"opponents_state": document}).values()
    np.testing.assert_array_equal(kept.weights, parts.bots["rival"].weights)
    assert kept.network == parts.bots["rival"].network and kept.timesteps == 256
    assert bots.saved_bots({}, {}) == {}  # a checkpoint from before
    for pace in ("env.tick_skip=4", "env.action_delay=2"):
        config = compose([*QUICK, "resume=.", pace, AGAINST])  # what is resumed need not find the files
        with pytest.raises(
            ValueError, match=r"curriculum\.stages\.touch\.opponent=rival: was trained with tick_skip=8, action_delay=0"
        ):
            bots.load_bots(config, {"rival": kept})
    with pytest.raises(ValueError, match=r"opponent=rival: there is no directory"):
        bots.load_bots(config, {})
