"""What an exported folder holds, and what it says when something of it is missing."""

import ast
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot.env import ACTION_TABLE
from rlbot.env.observation import OBSERVATION, columns
from rlbot.env.observations import SIX_CARS
from rlbot.export import folder
from rlbot.export.folder import TEMPLATE, BotInfo
from rlbot.export.self_play import PACKET_SLOTS, PLAYER_IDS, record
from rlbot.export.template.agent.recording import CAR_COLUMNS
from rlbot.policy import Bot, load
from tests.export.conftest import exported
from tests.policy.test_bot import write as write_checkpoint

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings it
    import tomli as tomllib


@pytest.fixture
def changed(bot_folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may damage; without the environment."""
    ignored = shutil.ignore_patterns(".venv", "__pycache__")
    return Path(shutil.copytree(bot_folder, tmp_path / "copy", ignore=ignored))


def bot(python: Path | str, home: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(python), "bot.py", *arguments],
        cwd=home,
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def test_its_self_test_passes_in_its_own_environment(bot_python: Path, bot_folder: Path) -> None:
    status, out, err = bot(bot_python, bot_folder, "--self-test")
    assert (status, err) == (0, "")
    assert out.startswith("[OK] It plays as it was trained: 896 packets; 112 observations") and out.isascii()


def other_weights(home: Path) -> None:
    """Of another policy, with a manifest that fits."""
    with np.load(home / "weights.npz") as arrays:
        np.savez(home / "weights.npz", **{name: array[..., ::-1] for name, array in arrays.items()})
    _sign(home, "weights.npz")


def other_observations(home: Path) -> None:
    with np.load(home / "self_test.npz") as arrays:
        changed = dict(arrays)
    changed["observations"][3, columns("car.boost")] += 2e-5
    np.savez(home / "self_test.npz", **changed)
    _sign(home, "self_test.npz")


def _sign(home: Path, name: str) -> None:
    manifest = json.loads((home / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256((home / name).read_bytes()).hexdigest()
    (home / "manifest.json").write_text(json.dumps(manifest))


def test_its_self_test_fails_where_it_plays_otherwise(bot_python: Path, changed: Path) -> None:
    whole = Path(shutil.copytree(changed, changed.parent / "second"))
    other_weights(changed)
    status, out, _ = bot(bot_python, changed, "--self-test")
    assert status == 1 and "its controls are [" in out and "[ERROR] It" not in out and "differences: 896 packets" in out
    other_observations(whole)
    status, out, _ = bot(bot_python, whole, "--self-test")
    assert status == 1 and "[ERROR] packet 24: car.boost differs by 2e-05" in out


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda home: (home / "weights.npz").unlink(), "weights.npz is missing or cannot be read: No such file"),
    (lambda home: (home / "weights.npz").write_bytes(b"x"), "weights.npz is not the file that was exported"),
    (lambda home: (home / "manifest.json").unlink(), "manifest.json is missing or cannot be read"),
    (lambda home: (home / "manifest.json").write_text("{"), "manifest.json cannot be read: JSONDecodeError"),
    (lambda home: (home / "manifest.json").write_text("[]"), "manifest.json cannot be read: TypeError"),
    (lambda home: edit(home, version=2), "manifest.json is of format rlbot-export, version 2, not rlbot-export, 1"),
    (lambda home: edit(home, network={"observation_size": 94}), "the network sees 94 numbers, not 180"),
    (lambda home: edit(home, action_table=[[0] * 8] * 3), "weights.npz does not fit"),
    (lambda home: other_network(home, activation="mish"), "the network's activation mish is unknown"),
    (lambda home: other_network(home, hidden=[64]), "weights.npz does not fit"),
    (lambda home: edit(home, action_table=None), "manifest.json or weights.npz lacks 'action_table'"),
]


def edit(home: Path, **changes: Any) -> None:
    manifest = {**json.loads((home / "manifest.json").read_text()), **changes}
    kept = {key: each for key, each in manifest.items() if each is not None}
    (home / "manifest.json").write_text(json.dumps(kept))


def other_network(home: Path, **changes: Any) -> None:
    edit(home, network={**json.loads((home / "manifest.json").read_text())["network"], **changes})


@pytest.mark.parametrize(("damage", "message"), BROKEN, ids=range(len(BROKEN)))
def test_its_log_names_what_is_missing(
    bot_python: Path, changed: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(changed)
    status, out, err = bot(bot_python, changed, RLBOT_AGENT_ID="x")
    assert status == 1 and out == ""
    assert err.startswith("[ERROR] ") and message in err and err.count("\n") == 1
    assert "export it again, or get the whole folder" in err


def test_its_log_names_packages_that_are_missing(changed: Path) -> None:
    """In the project's environment rlbot is another package; in none of Python's own there is NumPy."""
    status, out, err = bot(sys.executable, changed)
    assert (status, out) == (1, "")
    if sys.version_info >= (3, 11):
        assert "[ERROR] The package rlbot, as RLBot v5 bots need it, is missing" in err
        assert "run: python -m pip install -r requirements.txt" in err
    else:
        assert "RLBot v5 bots need 3.11 or later" in err
    bare = [sys.executable, "-I", "-S", "bot.py"]
    done = subprocess.run(bare, cwd=changed, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and ("package numpy" in done.stderr or "3.11" in done.stderr)


def test_it_imports_nothing_of_this_project(bot_folder: Path) -> None:
    own = {path.stem for path in bot_folder.glob("*.py")} | {"agent"}
    allowed = own | {"numpy", "rlbot"} | set(sys.stdlib_module_names)
    for path in [*bot_folder.glob("*.py"), *(bot_folder / "agent").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            assert {name.partition(".")[0] for name in names} <= allowed, path
            assert all(name in ("rlbot", "rlbot.managers") for name in names if name.startswith("rlbot")), path


def test_what_rlbot_reads(bot_folder: Path) -> None:
    settings = tomllib.loads((bot_folder / "bot.toml").read_text(encoding="utf-8"))
    assert settings["settings"] == {
        "agent_id": "rlbot-trainer/tested", "name": "Tested", "loadout_file": "loadout.toml", "logo_file": "logo.png",
        "hivemind": False, "run_command": r".venv\Scripts\python.exe bot.py",
        "run_command_linux": ".venv/bin/python bot.py",
    }  # fmt: skip
    assert settings["details"]["description"] == "Trained by reinforcement learning for 1,000 timesteps."
    loadout = tomllib.loads((bot_folder / "loadout.toml").read_text(encoding="utf-8"))
    assert {loadout[team]["car_id"] for team in ("blue_loadout", "orange_loadout")} == {23}
    logo = (bot_folder / "logo.png").read_bytes()
    assert logo[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", logo[16:24]) == (400, 300)
    readme = (bot_folder / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Tested\n") and "$" not in readme and "every 8 frames" in readme
    written = {each.name for each in bot_folder.iterdir()} - {".venv", "__pycache__"}
    assert written == {each.name for each in TEMPLATE.iterdir()} | {"manifest.json", "weights.npz", "self_test.npz"}


def test_the_manifest(bot_folder: Path) -> None:
    manifest = json.loads((bot_folder / "manifest.json").read_bytes())
    assert (manifest["timesteps"], manifest["tick_skip"], manifest["action_delay"]) == (1000, 8, 0)
    assert manifest["observation"] == [list(each) for each in OBSERVATION]
    assert manifest["action_table"] == ACTION_TABLE.tolist() and manifest["network"]["hidden"] == [64, 64]
    assert manifest["constants"]["boost_pads"][3] == [-3072, -4096, 10] and manifest["rating"] is None
    assert manifest["deterministic"] is True
    present = {
        path.relative_to(bot_folder).as_posix(): path
        for path in bot_folder.rglob("*")
        if path.is_file() and not {".venv", "__pycache__"} & set(path.relative_to(bot_folder).parts)
    }
    assert set(manifest["files"]) == set(present) - {"manifest.json"}
    for name, checksum in manifest["files"].items():
        assert hashlib.sha256(present[name].read_bytes()).hexdigest() == checksum


def test_the_recorded_play_has_everything_in_it(trained: Bot) -> None:
    """Of the own car, and of another one."""
    recorded = record(trained).arrays()
    rows = {name: recorded["cars"][:, :, i] for i, name in enumerate(CAR_COLUMNS)}
    own = rows["player_id"] == recorded["player_id"][:, None]
    other = ~own & (rows["team"] >= 0)
    for name in ("has_jumped", "has_double_jumped", "has_dodged", "handbrake", "boost_input"):
        assert (rows[name][own] > 0).any() and (rows[name][other] > 0).any(), name
    for cars in (own, other):
        assert (rows["demolished_timeout"][cars] >= 0).any()
        assert set(np.unique(rows["air_state"][cars])) == {0, 1, 2, 3, 4}
    assert (recorded["pads"][:, :, 1] > 0).any(axis=0).sum() >= 2
    sizes = {tuple((rows["team"][i] == team).sum() for team in (0, 1)) for i in np.flatnonzero(recorded["first"])}
    assert sizes == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert set(recorded["player_id"]) == set(PLAYER_IDS) and sorted(PACKET_SLOTS) != PACKET_SLOTS
    assert recorded["clear"].mean() > 0.9


@pytest.mark.parametrize("rlgym", [False, True])
def test_a_bot_for_teams_of_three(rlgym: bool, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It repeats its play in 3v3 as well, is read back as it was, and says which observation it has."""
    path, _ = write_checkpoint(tmp_path, "model.hidden=[64,64]", "env.observation=six_cars", "curriculum=all_sizes")
    bot_of_six = load(path)
    python = request.getfixturevalue("rlgym_python" if rlgym else "bot_python")
    home = exported(tmp_path / "six", bot_of_six, python, rlgym)
    status, out, err = bot(python, home, "--self-test")
    assert (status, err) == (0, "") and "1216 packets; 152 observations" in out
    with np.load(home / "self_test.npz") as recorded:
        team, first = recorded["cars"][:, :, 1], np.flatnonzero(recorded["first"])
        sizes = {tuple((team[i] == side).sum() for side in (0, 1)) for i in first}
    assert sizes == {(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (2, 3), (1, 3), (3, 1)}
    again = load(home)
    assert again.observation == SIX_CARS
    rows = np.random.default_rng(0).normal(size=(8, 232)).astype(np.float32)
    np.testing.assert_array_equal(again.act(rows, True), bot_of_six.act(rows, True))


def test_play_that_is_never_accepted_ends_the_export(trained: Bot) -> None:
    with pytest.raises(RuntimeError, match="does not play"):
        record(trained, accept=lambda scene: False)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("mine")
    with pytest.raises(ValueError, match=r"out=.*: cannot be written: File exists"):
        folder.write(tmp_path, {"manifest.json": b"new"})
    assert (tmp_path / "manifest.json").read_text() == "mine"


@pytest.mark.parametrize(("name", "slug"), [("Bot 5M", "bot-5m"), ("...", "bot"), ("a_b", "a-b")])
def test_names_become_ids(name: str, slug: str) -> None:
    assert BotInfo(name, "").agent_id == f"rlbot-trainer/{slug}"
