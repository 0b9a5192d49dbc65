"""A folder that was exported is a bot like the checkpoint that it was made from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot import policy
from rlbot.export import folder
from tests.policy.test_bot import HEADS, observations, write


def network_alone(path: Path, bot: policy.Bot) -> Path:
    """The part of an exported folder that is read here."""
    document = folder.manifest(bot, folder.BotInfo("Tested", "nobody", {"1v1": {"points": 5}}))
    made = {"weights.npz": folder._npz(folder.weights(bot))}
    folder.write(path, folder.with_manifest(made, document))
    return path


@pytest.mark.parametrize("head", HEADS)
def test_it_plays_like_its_checkpoint(tmp_path: Path, head: str) -> None:
    original = policy.load(write(tmp_path, f"model.action_head={head}", "env.tick_skip=4", "env.action_delay=2")[0])
    bot = policy.load(network_alone(tmp_path / "exported", original))
    np.testing.assert_array_equal(bot.weights, original.weights)
    assert (bot.tick_skip, bot.action_delay, bot.timesteps) == (4, 2, 1000)
    rows = observations()
    np.testing.assert_array_equal(bot.act(rows, deterministic=True), original.act(rows, deterministic=True))


def edit(**changes: Any) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        manifest = {**json.loads((path / "manifest.json").read_text()), **changes}
        kept = {key: each for key, each in manifest.items() if each is not None}
        (path / "manifest.json").write_text(json.dumps(kept))

    return change


DAMAGED: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: (path / "weights.npz").unlink(), "its weights.npz cannot be read: No such file"),
    (lambda path: (path / "weights.npz").write_bytes(b"x"), "its weights.npz is damaged (checksum does not match)"),
    (edit(version=2), "was exported as version 2, this version reads 1"),
    (edit(observation=[["wind", 3]]), "trained with another observation: entry 0 is wind (3)"),
    (edit(tick_skip=0), "its tick_skip=0 and action_delay=0 do not fit together"),
    (edit(files=None), "its manifest.json lacks 'files'"),
    (edit(network={"action_head": "table"}), "its network is described by other keys"),
    (edit(timesteps=None), "its manifest.json lacks 'timesteps'"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGED, ids=[message for _, message in DAMAGED])
def test_what_is_damaged_or_foreign_is_refused(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = network_alone(tmp_path / "exported", policy.load(write(tmp_path)[0]))
    damage(path)
    with pytest.raises(ValueError, match=r"^opponent=") as caught:
        policy.load(path, setting="opponent")
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": "other"}', '{"format": 1}', pytest.param("[" * 100_000, id="deep")]
)
def test_another_manifest_is_no_exported_folder(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match="checkpoint"):
        policy.load(tmp_path)
