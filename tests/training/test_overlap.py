"""learner.overlap in real processes: what was played ahead is not lost when a run is stopped and resumed."""

import signal
import sys
from pathlib import Path

import pytest
import torch

from rlbot.run import load_checkpoint
from rlbot.settings.command import compose
from rlbot.training.build import with_overlap
from tests.launching import Launch

# 256 timesteps an iteration against itself until 512, then 258 an iteration against past versions until 2060.
ARGUMENTS = [
    "experiment=debug", "seed=3", "learner.overlap=true", "learner.anneal_learning_rate=false", "hardware.threads=1",
    "curriculum.stages.duel.until=300", "curriculum.stages.outnumbered.until=2000", "curriculum.draw=prioritised",
    "env.no_touch_limit=2", "checkpoint_interval=500", "rating.enabled=false",
    "reward.terms.speed_to_ball={from: 0, to: 1, over: 2000}", "learner.entropy_coef={from: 0.01, to: 0, over: 1500}",
    "++curriculum.stages.outnumbered.reward.face_ball={from: 0, to: 1, over: 500}",
]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process can send another")
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(launch: Launch, tmp_path: Path) -> None:
    """Over saves, two changes of the stage, an end of its own and Ctrl-C; with one worker, and with two."""
    straight = launch(*ARGUMENTS, "total_timesteps=2500", "env.workers=1", "hydra.run.dir=straight")
    assert straight.status() == 0, straight.lines

    stopped = launch(*ARGUMENTS, "total_timesteps=900", "env.workers=2", "hydra.run.dir=stopped")
    assert stopped.status() == 0 and stopped.having("Training finished at 1028 timesteps"), stopped.lines
    stopped = launch("resume=stopped", "total_timesteps=2500", "env.workers=1")
    stopped.says("] Timestep: ")
    stopped.signal(signal.SIGINT)
    assert stopped.status() == 0 and stopped.having("Stopped at 1"), stopped.lines
    stopped = launch("resume=stopped", "env.workers=2")
    assert stopped.status() == 0 and stopped.having("[START] Stage 2 (doubles)"), stopped.lines

    one, other = (
        load_checkpoint(sorted((tmp_path / run / "checkpoints").glob("step_*"))[-1]) for run in ("straight", "stopped")
    )
    assert [list(group) for group in one[0].values()] == [list(group) for group in other[0].values()]
    for group, tensors in one[0].items():
        for name, tensor in tensors.items():
            assert (tensor == other[0][group][name]).all(), f"{group}/{name}"
    assert "plan_weights" in one[0]["environment"] and len(one[0]["opponents"]["timesteps"]) > 3
    assert one[1]["environment_state"] == other[1]["environment_state"]
    assert {**one[1]["progress"], "seconds": 0} == {**other[1]["progress"], "seconds": 0}


@pytest.mark.parametrize(
    ("gpu", "settings", "overlap"),
    [
        (True, [], True),
        (False, [], False),
        (True, ["hardware=cpu"], False),
        (True, ["env.workers=0"], False),
        (True, ["hardware.acting=learner"], True),
        (True, ["learner.overlap=false"], False),
        (False, ["learner.overlap=true"], True),  # so does a run that began on a GPU, as its checkpoint says
    ],
)
def test_null_is_on_where_a_gpu_learns_beside_workers(
    gpu: bool, settings: list[str], overlap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert with_overlap(compose(settings)).learner.overlap is overlap
