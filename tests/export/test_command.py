"""`python -m rlbot.export` in processes of its own, on a checkpoint that lies where training puts it."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlbot.export import __main__ as command
from rlbot.policy import load
from rlbot.watch.lineup import lineup
from rlbot.watch.live import LiveMatch
from tests.launching import run_command
from tests.policy.test_bot import observations, write
from tests.policy.test_exported import network_alone
from tests.watch.test_live import following


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose version of 2,500,000 timesteps has a rating."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "outputs" / "run" / "checkpoints").mkdir(parents=True)
    write(folder / "outputs" / "run" / "checkpoints", timesteps=2_500_000)
    ratings = {"1v1": {"2500000": {"points": 123.0, "error": 4.0}, "1000": {"points": 0.0, "error": 1.0}}, "2v2": {}}
    (folder / "outputs" / "run" / "ratings.json").write_text(json.dumps({"ratings": ratings}))
    return folder


def test_what_it_writes_can_be_evaluated_like_the_checkpoint(workplace: Path) -> None:
    status, out, err = run_command(workplace, "rlbot.export", "checkpoint=outputs/run", "hydra.run.dir=done")
    assert (status, err) == (0, "")
    assert out.isascii() and out.startswith("[OK] Written: ") and "Bot 2.5M" in out
    assert "[OK] Written: " in (workplace / "done" / "export.log").read_text()
    made = workplace / "done" / "bot-2-5m"
    manifest = json.loads((made / "manifest.json").read_text())
    assert (manifest["name"], manifest["timesteps"]) == ("Bot 2.5M", 2_500_000)
    assert manifest["rating"] == {"1v1": {"points": 123.0, "error": 4.0}}
    assert (made / "agent" / "pilot.py").is_file() and not list(made.rglob("__pycache__"))
    arguments = ("matches=2", "match_seconds=2", "workers=0", "hydra.run.dir=evaluated")
    status, _, err = run_command(workplace, "rlbot.evaluate", f"checkpoint={made}", "opponent=outputs/run", *arguments)
    assert (status, err) == (0, "")
    players = json.loads((workplace / "evaluated" / "evaluation.json").read_text())["players"]
    player = players["checkpoint"]
    assert (player["name"], player["path"], player["timesteps"]) == ("bot-2-5m", str(made), 2_500_000)


def test_it_can_be_watched_without_a_critic(workplace: Path, tmp_path: Path) -> None:
    home = network_alone(tmp_path / "exported", load(workplace / "outputs" / "run"))
    match = LiveMatch(lineup(load(home), "idle"), (1, 1), seed=0)
    match.start()
    try:
        events = match.listen()
        frames = [following(events, "frame") for _ in range(3)]
    finally:
        match.close()
    assert frames[2]["cars"][0]["pos"] != frames[0]["cars"][0]["pos"]


def test_the_network_alone(workplace: Path) -> None:
    arguments = ("checkpoint=outputs/run", "format=torchscript", "name=A b", "out=alone", "deterministic=false")
    status, out, err = run_command(workplace, "rlbot.export", *arguments)
    assert (status, err) == (0, "") and "[OK] Written: alone, " in out
    assert {path.name for path in (workplace / "alone").iterdir()} == {"policy.pt", "README.md", "manifest.json"}
    from rlbot.export.network import run_torchscript

    found = run_torchscript((workplace / "alone" / "policy.pt").read_bytes(), observations())
    expected = load(workplace / "outputs" / "run").act(observations(), deterministic=True)
    np.testing.assert_array_equal(found["controls"], expected)
    assert json.loads((workplace / "alone" / "manifest.json").read_text())["deterministic"] is False


def test_a_format_whose_package_is_missing_leaves_nothing(workplace: Path) -> None:
    try:
        import onnx  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("the extra onnx is installed")
    before = set(workplace.rglob("*"))
    status, out, err = run_command(workplace, "rlbot.export", "checkpoint=outputs/run", "format=onnx", "out=never")
    assert (status, out) == (1, "") and set(workplace.rglob("*")) == before
    assert err.startswith("[ERROR] format=onnx: the package onnx is missing; install it with `pip install ")


@pytest.mark.parametrize(
    ("timesteps", "name"), [(0, "0"), (999, "999"), (250_000, "250k"), (2_500_000, "2.5M"), (1_234_567_890, "1235M")]
)
def test_timesteps_in_a_name(timesteps: int, name: str) -> None:
    assert command._short(timesteps) == name
