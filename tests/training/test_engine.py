"""The engine of a run: what its files say, and what a resume goes on with."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import rlbot
from rlbot.policy import load
from rlbot.rating.matches import common_engine
from rlbot.settings.command import compose
from rlbot.settings.schema import TrainConfig
from rlbot.sim import choose, engines, load_meshes, version
from rlbot.training.resume import with_engine
from tests.conftest import needs_rocketsim3

ROOT = Path(rlbot.__file__).parents[1]
QUICK = ["experiment=debug", "hardware.threads=1", "learner.anneal_learning_rate=false", "seed=3"]


def train(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rlbot.train", *QUICK, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def newest(folder: Path) -> Path:
    return sorted((folder / "outputs" / "latest" / "checkpoints").iterdir())[-1]


def document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def on2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was trained on RocketSim v2 and is rated."""
    folder = tmp_path_factory.mktemp("on2")
    out = train(folder, "env.engine=rocketsim2", "env.workers=0", "total_timesteps=500", "objective=rating")
    assert f"[OK] Engine: {version('rocketsim2')}" in out
    return folder


def test_the_files_of_a_run_say_which_engine_played(on2: Path) -> None:
    run, engine = on2 / "outputs" / "latest", version("rocketsim2")
    assert document(run / "run.json")["engine"] == engine
    assert document(run / "run.json")["config"]["env"]["engine"] == "rocketsim2"
    checkpoint = newest(on2)
    assert document(checkpoint / "policy.json")["engine"] == engine
    assert document(checkpoint / "environment_state.json")["engine"] == engine
    assert document(run / "ratings.json")["engine"] == engine
    bot = load(checkpoint)
    assert bot.engine == engine and common_engine([("checkpoint", bot)]) == "rocketsim2"


def test_a_resume_goes_on_with_the_engine_of_the_run(on2: Path) -> None:
    """Also where RocketSim v3 is there, which a new run would take, and with the engine named as auto."""
    for total, *named in (("750", "rating.enabled=false"), ("1000", "env.engine=auto", "rating.enabled=false")):
        out = train(on2, "resume=latest", f"total_timesteps={total}", *named)
        assert f"[OK] Engine: {version('rocketsim2')}" in out and "[WARN]" not in out
        assert document(on2 / "outputs" / "latest" / "run.json")["engine"] == version("rocketsim2")


@needs_rocketsim3
def test_another_engine_is_taken_when_it_is_named_and_what_differs_is_told(on2: Path) -> None:
    out = train(on2, "resume=latest", "total_timesteps=1500", "env.engine=rocketsim3", "objective=rating")
    two, three = version("rocketsim2"), version("rocketsim3")
    assert f"[WARN] Trained on {two}, continues on {three}" in out
    assert "The saved episodes are not continued" in out and "the ratings start again" in out
    checkpoint = newest(on2)
    assert document(checkpoint / "policy.json")["engine"] == three
    assert document(checkpoint / "environment_state.json")["engine"] == three
    assert document(on2 / "outputs" / "latest" / "ratings.json")["engine"] == three
    out = train(on2, "resume=latest", "total_timesteps=1750")
    assert f"[OK] Engine: {three}" in out and "[WARN]" not in out


@pytest.mark.slow
def test_a_run_ends_with_the_same_bits_with_any_number_of_workers_and_in_parts(engine: str, tmp_path: Path) -> None:
    weights = []
    for workers in (0, 1, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        shared = (f"env.engine={engine}", f"env.workers={workers}", "env.num_envs=4", "rating.enabled=false")
        if workers == 1:  # stopped in the middle, and gone on with
            train(folder, *shared, "total_timesteps=512")
            train(folder, "resume=latest", *shared, "env.workers=2", "total_timesteps=1024")
        else:
            train(folder, *shared, "total_timesteps=1024")
        weights.append(safetensors.numpy.load_file(newest(folder) / "model.safetensors"))
    assert all(np.isfinite(each).all() for each in weights[0].values())
    for workers, other in zip((1, 3), weights[1:], strict=True):
        unlike = [name for name in weights[0] if not np.array_equal(weights[0][name], other[name])]
        assert not unlike, f"{workers} workers"


def settings(*overrides: str) -> TrainConfig:
    return compose(overrides)


def test_what_auto_means_on_a_resume() -> None:
    told: list[str] = []
    old: dict[str, Any] = {}  # policy.json from before there were two engines
    assert with_engine(settings(), None, told.append).env.engine == choose("auto")
    assert with_engine(settings(), old, told.append).env.engine == "rocketsim2"
    assert with_engine(settings("env.engine=rocketsim2"), old, told.append).env.engine == "rocketsim2"
    assert with_engine(settings(), {"engine": version("rocketsim2")}, told.append).env.engine == "rocketsim2"
    assert told == []
    assert with_engine(settings(), {"engine": "rocketsim2 2.1.0"}, told.append).env.engine == "rocketsim2"
    assert len(told) == 1 and told[0].startswith(f"Trained on rocketsim2 2.1.0, continues on {version('rocketsim2')}")


def test_an_engine_that_is_not_built_is_told_in_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "EXTENSION", "rlbot_native_that_is_nowhere")
    assert choose("auto") == "rocketsim2"
    with pytest.raises(ValueError, match=r"^env\.engine='rocketsim3': it is not built here; install Rust"):
        choose("rocketsim3")
    with pytest.raises(ValueError, match=r"^env\.engine='rocketsim4': choose one of auto, rocketsim2, rocketsim3$"):
        choose("rocketsim4")
    with pytest.raises(ValueError, match=r"trained on rocketsim3 0\.3\.4, which is not built here.*\n.*rocketsim2"):
        with_engine(settings(), {"engine": "rocketsim3 0.3.4"}, print)
    with pytest.raises(ValueError, match=r"env\.engine='rocketsim3': it is not built"):
        load_meshes(engine="rocketsim3")
