"""A network of the user's own, and one with a memory, in real processes: a run that is stopped and goes on, without the
file, ends the same."""

from pathlib import Path

import numpy as np
import pytest

from rlbot.run import load_checkpoint
from tests.collect.test_acting import NET
from tests.launching import Launch

ARGUMENTS = [
    "experiment=debug", "seed=3", "learner.anneal_learning_rate=false", "hardware.threads=1", "rating.enabled=false",
    "curriculum.stages.duel.until=300", "curriculum.stages.outnumbered.until=2000", "checkpoint_interval=500",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("model", ["model.network={_target_: 'net.py:Net', width: 16}", "model=gru"])
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(model: str, launch: Launch, tmp_path: Path) -> None:
    """Over a change of the stage, against past versions, with one worker and with two, and from the run's own copy."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    straight = launch(*ARGUMENTS, model, "total_timesteps=1500", "env.workers=2", "hydra.run.dir=straight")
    assert straight.status() == 0, straight.lines
    stopped = launch(*ARGUMENTS, model, "total_timesteps=700", "env.workers=1", "hydra.run.dir=stopped")
    assert stopped.status() == 0, stopped.lines
    (tmp_path / "net.py").unlink()
    stopped = launch("resume=stopped", "total_timesteps=1500", "env.workers=0")
    assert stopped.status() == 0, stopped.lines
    assert bool(stopped.having("model.network is taken from the copy")) == ("net.py" in model), stopped.lines

    one, other = (
        load_checkpoint(sorted((tmp_path / run / "checkpoints").glob("step_*"))[-1]) for run in ("straight", "stopped")
    )
    assert ("car_states" in one[0]["environment"]) == (model == "model=gru")
    # The last bits of what a past version remembers depend on the number of workers.
    states = [np.asarray(each[0]["environment"].pop("car_states", 0)) for each in (one, other)]
    np.testing.assert_allclose(*states, atol=1e-5)
    for group, tensors in one[0].items():
        for name, tensor in tensors.items():
            assert (tensor == other[0][group][name]).all(), f"{group}/{name}"
    assert one[1]["environment_state"] == other[1]["environment_state"]
