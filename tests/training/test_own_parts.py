"""Parts of the user's own in a run: the same whatever the number of workers, in a stage, after a resume, elsewhere."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import rlbot
from rlbot.env.own_reset import OwnReset
from rlbot.run import load_checkpoint
from rlbot.settings import command
from rlbot.training.build import build, make_stages
from rlbot.training.build_env import make_env, make_resets
from rlbot.training.preflight import preflight

PARTS = """
from rlbot.sim import CarPlacement, Placement

def line(generator, teams, height=93.0):
    cars = [CarPlacement((500.0 * i, -1500.0, 17.0), 1.5) for i in range(sum(teams))]
    return Placement(cars, (generator.uniform(-500, 500), 0.0, height))

def high(before, after, clocks, above):
    return after.ball_pos[:, 2] > above, clocks.episode > 1.0

def turns(steps):
    return [(1, 2 * i / (steps - 1) - 1, 0, 0, 0, 0, i % 2, 0) for i in range(steps)]

def see(state, cars):
    return {"way": (state.ball_pos[cars.arena] - cars.of(state.car_pos)) / 2300, "vel": cars.of(state.car_vel) / 2300}
"""
ROOT = Path(rlbot.__file__).parents[1]
SMALL = ["experiment=debug", "env.num_envs=5", "learner.batch_size=480", "learner.minibatch_size=60", "hardware=cpu"]
RESET = "env.reset.line={_target_: 'mine.py:line', share: 3, height: 500}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/mine.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path


def rollouts(*overrides: str, stage: int = 0) -> list[np.ndarray]:
    """What two rollouts of a stage hand over."""
    parts = build(command.compose([*SMALL, *overrides]), print)
    parts.publish()
    made = parts.make_collector(stage)
    try:
        played = [made.collect()[0] for _ in range(2)]
        names = ("observations", "actions", "rewards", "terminated", "truncated", "final_observations")
        return [getattr(rollout, name).copy() for rollout in played for name in names]
    finally:
        made.close()


ENDING = "+env.ending.high={_target_: 'mine.py:high', above: 400}"
ACT = "env.actions={_target_: 'mine.py:turns', steps: 5}"
SEE = "env.observation={_target_: 'mine.py:see'}"
RLGYM = [
    "env.observation={_target_: rlgym.rocket_league.obs_builders.DefaultObs}",
    "env.actions={_target_: rlgym.rocket_league.action_parsers.LookupTableAction}",
]
PLAYED: dict[str, list[str]] = {
    "reset": [f"+{RESET}", "env.no_touch_limit=0.5"],
    "ending": [ENDING],
    "observation": [SEE],
    "actions": [ACT],
    **({} if find_spec("rlgym") is None else {"rlgym": RLGYM}),
}


@pytest.mark.parametrize("overrides", PLAYED.values(), ids=PLAYED)
def test_they_do_the_same_with_any_number_of_workers(folder: Path, overrides: list[str]) -> None:
    alone, *others = (rollouts(f"env.workers={workers}", *overrides) for workers in (0, 1, 3))
    for other in others:
        for mine, theirs in zip(alone, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_stage_has_resets_of_its_own_and_may_name_those_of_env(folder: Path) -> None:
    own = "{low: {_target_: 'mine.py:line', share: 1, height: 200}, line: 0}"
    config = command.compose([*SMALL, f"+{RESET}", f"+curriculum.stages.duel.reset={own}"])
    stage = make_stages(config)[0]
    mix = make_resets(config, stage)
    assert list(mix) == ["low", "line"] and isinstance(mix["line"], OwnReset) and mix["line"].share == 0
    assert mix["low"].label == "curriculum.stages.duel.reset.low (mine.py:line)"  # type: ignore[union-attr]
    assert mix["line"].label == "env.reset.line (mine.py:line)"
    env = make_env(config, stage)
    env.reset(seed=0)
    np.testing.assert_allclose(env.state.ball_pos[:, 2], 200, atol=0.1)


def test_a_mistake_is_found_before_training_however_small_its_share(folder: Path) -> None:
    config = command.compose([*SMALL, "+env.reset.line={_target_: 'mine.py:line', share: 1e-9, height: 5000}"])
    message = r"^env\.reset\.line \(mine\.py:line\), arena 0, ball_pos=.* is outside the field"
    with pytest.raises(ValueError, match=message):
        list(preflight(config, build(config, print)))


def train(home: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "rlbot.train", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    return done.returncode, done.stdout, done.stderr


QUICK = ["experiment=debug", "curriculum=duel", "env.workers=2", "hardware.threads=1", "rating.enabled=false"]


@pytest.mark.slow
def test_a_run_goes_on_from_another_folder_with_the_copies_of_files_that_are_gone(folder: Path) -> None:
    """Exactly as the run that was never stopped."""
    own = [f"+{RESET}", ENDING, SEE, ACT]
    whole, half, rest = folder / "whole", folder / "half", ["learner.anneal_learning_rate=false"]
    assert train(folder / "home", *QUICK, *own, *rest, "total_timesteps=1500", f"hydra.run.dir={whole}")[::2] == (0, "")
    status, out, err = train(folder / "home", *QUICK, *own, *rest, "total_timesteps=700", f"hydra.run.dir={half}")
    assert (status, err) == (0, "") and f"Your own files copied to {half / 'code/step_000000000'}: mine.py" in out
    (folder / "home").rename(folder / "gone")
    status, _, err = train(folder, f"resume={half}", "total_timesteps=1500", "env.observation=small")
    assert status == 1 and "it was trained with another observation than the one asked for" in err
    status, _, err = train(folder, f"resume={half}", "total_timesteps=1500", "env.actions=null")
    assert status == 1 and "it was trained with another action table than the one asked for" in err
    status, out, err = train(folder, f"resume={half}", "total_timesteps=1500")
    assert (status, err) == (0, "")
    assert f"[WARN] {folder / 'home/mine.py'} is not there: env.reset.line is taken from the copy in the run" in out
    one, other = (load_checkpoint(sorted((run / "checkpoints").glob("step_*"))[-1])[0] for run in (whole, half))
    for name, tensor in one["model"].items():
        np.testing.assert_array_equal(tensor, other["model"][name], err_msg=name)


BREAKS = """
calls = 0

def breaks(generator, teams):
    global calls
    calls += 1
    return line(generator, teams, height=93.0 if calls < 100 else "up")
"""


@pytest.mark.slow
def test_a_reset_that_fails_in_a_worker_ends_the_run_with_two_lines(folder: Path) -> None:
    (folder / "home/mine.py").write_text(PARTS + BREAKS, encoding="utf-8")
    own = ["+env.reset.mine={_target_: 'mine.py:breaks', share: 10}", "env.no_touch_limit=0.2", "total_timesteps=90000"]
    status, out, err = train(folder / "home", *QUICK, *own, f"hydra.run.dir={folder / 'run'}")
    assert status == 1 and "Traceback" not in out + err
    stopped, advice = err.splitlines()
    assert re.fullmatch(
        r"\[ERROR\] Training stopped after env\.reset\.mine \(.*mine\.py:breaks\), arena \d, ball_pos=.*", stopped
    )
    assert "checkpoint" in advice or "is intact" in advice
