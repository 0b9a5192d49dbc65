"""Action tables of the user's own: checked, played from a checkpoint, as an opponent, recorded and exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlbot import policy
from rlbot.env import BatchEnv
from rlbot.env.action import checked_table
from rlbot.export.folder import BotInfo, manifest
from rlbot.policy import Bot
from rlbot.rating.matches import Conditions, Pairing, play
from rlbot.recording.decisions import Seen, decision
from rlbot.reward import Reward
from rlbot.run import save_checkpoint
from rlbot.settings.command import compose
from rlbot.training.bots import bots_state, saved_bots
from rlbot.training.build import make_model, policy_document

ROWS = [(1.0, -0.5, 0, 0, 0, 0, 1, 0), (0.25, 1, 0, 0, 0, 1, 0, 0), (-1, 0, 0, 0, 0, 0, 0, 1)]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, head: str = "table") -> Path:
    (folder / "mine.py").write_text(f"def rows():\n    return {ROWS}\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    config = compose(["experiment=debug", "model.hidden=[8]", "env.actions={_target_: 'mine.py:rows'}"])
    torch.manual_seed(0)
    model = make_model(config)
    document = json.loads(json.dumps(policy_document(config)))
    return save_checkpoint(
        folder / "run", 100, {"model": dict(model.state_dict())}, {"policy": document}, run_id="test"
    )


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bot:
    path = made(tmp_path, monkeypatch)
    (tmp_path / "mine.py").unlink()  # the table is in the checkpoint
    return policy.load(path, seed=1)


def test_a_bot_plays_the_rows_of_its_table(bot: Bot) -> None:
    assert bot.network.head.outputs == 3
    np.testing.assert_array_equal(bot.network.action_table, np.array(ROWS, np.float32))
    drawn = bot.act(np.random.default_rng(0).normal(size=(500, 180)))
    np.testing.assert_array_equal(np.unique(drawn, axis=0), np.unique(np.array(ROWS, np.float32), axis=0))


def test_it_plays_matches_and_its_decisions_are_its_controls(bot: Bot) -> None:
    (results,) = play([bot, "random"], [Pairing(0, 1, 2, record=1)], Conditions(1, 1, seconds=2.0), workers=2)
    assert (results.count("steps") == 30).all() and len(results.recordings) == 1
    env = BatchEnv([(1, 1)], Reward([]), {"kickoff": 1.0})
    obs, _ = env.reset(seed=0)
    controls = bot.act(obs)
    choice = decision(bot, Seen(obs, None), controls)
    np.testing.assert_array_equal(choice.controls, controls)
    assert choice.action is None and choice.top_probabilities is None


def test_an_opponents_table_is_in_the_checkpoints_of_the_run(bot: Bot) -> None:
    tensors, document = bots_state({"mine": bot})
    again = saved_bots({"opponents": tensors}, {"opponents_state": json.loads(json.dumps(document))})["mine"]
    assert again.network == bot.network


def test_an_exported_bot_has_it(bot: Bot) -> None:
    assert manifest(bot, BotInfo("Mine", "me"))["action_table"] == [list(row) for row in ROWS]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, r"is of shape \(\); it must be \(K, 8\)"),
        ([[0] * 8], r"is of shape \(1, 8\); it must be \(K, 8\), the controls of K >= 2 actions"),
        ([[0] * 7] * 3, r"is of shape \(3, 7\)"),
        ([[0] * 8, [0, 2, *[0] * 6]], r": row 1 has steer=2; must be in \[-1, 1\]"),
        ([[0] * 8, [*[0] * 7, np.nan]], ": row 1 has handbrake=nan"),
        ([["a"] * 8] * 2, r"returns list; it must be an array of controls \(K, 8\)"),
        (None, "is of shape|returns NoneType"),
    ],
)
def test_what_is_no_table_is_told(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^mine ?({message})"):
        checked_table(given, "mine")
