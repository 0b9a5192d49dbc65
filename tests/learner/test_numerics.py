"""Many updates in the real game keep every number sane."""

import math

import numpy as np
import pytest

from rlbot.settings.command import compose
from rlbot.training.build import build
from tests.learner.conftest import Backend

# 100 iterations of two minibatches each.
SETTINGS = (
    "experiment=debug curriculum=duel reward=touch model.hidden=[64,64] env.num_envs=16 env.workers=0 hardware=cpu "
    "learner.batch_size=512 learner.minibatch_size=256 learner.epochs=1"
)


@pytest.mark.slow
def test_two_hundred_updates_in_the_game(backend: Backend) -> None:
    precision, device = backend
    hardware = [f"hardware.precision={precision}", f"hardware.device={device}"]
    parts = build(compose([*SETTINGS.split(), *hardware]), print)
    parts.publish()
    collector = parts.make_collector(0)
    history: list[dict[str, float]] = []
    for _ in range(100):
        rollout, _ = collector.collect()
        history.append(parts.ppo.update(rollout))
        parts.publish()
    collector.close()
    assert sum(each["learner/updates"] for each in history) == 200.0
    good = history[10:] if precision == "fp16" else history  # its scaler tries scales that are too large at first
    assert all(math.isfinite(value) for each in good for value in each.values())
    assert all(each["learner/bad_updates"] == 0.0 for each in good)

    def late(name: str) -> float:
        return float(np.median([each[name] for each in history[-30:]]))

    assert late("value/explained_variance") > 0.0  # the critic knows more than the mean
    assert abs(late("advantage/mean")) < late("advantage/std") < 3.0  # returns are scaled to a deviation of about one
    assert abs(late("value/mean")) < 5.0
    assert 0.0 <= late("policy/kl") < 0.2
    assert 1.0 < late("policy/entropy") <= math.log(90)
