"""The examples of docs/your-own-parts.md: at most ten lines each, and every command's parts really play."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.recording import Recorder
from rlbot.reward import Reward
from rlbot.run import RunDirectory
from rlbot.settings import command
from rlbot.training.build import build
from rlbot.training.callbacks import Callbacks
from rlbot.training.loop import Progress
from rlbot.training.preflight import preflight
from rlbot.training.trackers import open_trackers, trackers_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "your-own-parts.md"
if not PAGE.is_file():
    pytest.skip("needs a checkout, with docs/", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = [shlex.split(line)[3:] for line in re.findall(r"^ *python -m rlbot\.train .*", TEXT, re.MULTILINE)]
TINY = ["experiment=debug", "curriculum=doubles", "env.workers=0", "hardware=cpu", "rating.enabled=false"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples and a recorded match."""
    for name, code in EXAMPLES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    env = BatchEnv([(2, 2)], Reward([]), {"anywhere": 1.0}, Rules())
    env.reset(seed=0)
    recorder = Recorder([0, 1, 2, 3], ["a", "b", "c", "d"])
    for _ in range(5):
        recorder.add(env.state)
        env.step(np.zeros((4, 8), np.float32))
    (tmp_path / "outputs/latest/recordings").mkdir(parents=True)
    recorder.finish().save(tmp_path / "outputs/latest/recordings/match.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_at_most_ten_lines(name: str) -> None:
    assert len([line for line in EXAMPLES[name].splitlines() if line.strip()]) <= 10
    assert any(f"{name}:" in word for words in COMMANDS for word in words), "a command uses it"


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: re.split("[+={:]+", words[0])[1])
def test_a_command_plays_and_passes_the_checks_of_a_start(workplace: Path, words: list[str]) -> None:
    if "rlbot.env.packs" in words[0] and find_spec("rlgym_tools") is None:
        pytest.skip("needs the package rlgym-tools")
    if "_target_: rlgym." in words[0] and find_spec("rlgym") is None:
        pytest.skip("needs the package rlgym-rocket-league")
    config = command.compose([*TINY, *words])
    lines = [line for line in preflight(config, build(config, print)) if not line.startswith("RLGym parts: ")]
    assert lines[-1].startswith("Rollout of 16 steps: rewards finite")
    callbacks, home = Callbacks(config.callback), RunDirectory(workplace / "run")
    trackers = open_trackers(trackers_of(config, print), home, None, pytest.fail)
    for timesteps in (100, 600_000):
        callbacks(Progress(timesteps), {"reward/step": 0.5})
        trackers.log(timesteps, {"reward/step": 0.5})
    trackers.close()
    assert callbacks.failure is None and bool(callbacks.reason) == ("callback" in words[0])
