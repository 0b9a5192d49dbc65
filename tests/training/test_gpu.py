"""Whole trainings on a GPU, in real processes."""

from pathlib import Path

import pytest
import torch

from rlbot.run import load_checkpoint
from tests.launching import run_command

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
TOTAL = 1500
# Three stages, the second against the past; the learner trains while the workers play.
ARGUMENTS = [
    "experiment=debug", "seed=3", "curriculum.stages.outnumbered.until=1000", "learner.anneal_learning_rate=false",
    "log_interval=0", "hardware.device=cuda",
]  # fmt: skip


@pytest.mark.parametrize("acting", ["workers", "learner"])
def test_a_resumed_run_ends_with_the_same_bits(acting: str, tmp_path: Path) -> None:
    """Also with another number of workers, and stages after it."""
    arguments = [*ARGUMENTS, f"hardware.acting={acting}"]
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    for folder in (straight, resumed):
        folder.mkdir()
    outcomes = [
        run_command(
            straight, "rlbot.train", *arguments, "env.workers=2", f"total_timesteps={TOTAL}", "hydra.run.dir=run"
        ),
        run_command(resumed, "rlbot.train", *arguments, "env.workers=1", "total_timesteps=700", "hydra.run.dir=run"),
        run_command(resumed, "rlbot.train", "resume=run", "env.workers=3", f"total_timesteps={TOTAL}"),
    ]
    assert [(status, err) for status, _, err in outcomes] == [(0, "")] * 3
    assert "no CUDA graph" not in "".join(out for _, out, _ in outcomes)
    one, other = (load_checkpoint(max((each / "run" / "checkpoints").glob("step_*"))) for each in (straight, resumed))
    for group in one[0]:
        for name, tensor in one[0][group].items():
            assert (tensor == other[0][group][name]).all(), f"{group}/{name}"
    assert one[1]["environment_state"] == other[1]["environment_state"]
