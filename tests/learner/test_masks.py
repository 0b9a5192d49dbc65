"""Updates from rollouts with action masks. Action 0 of these is never allowed."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from rlbot.env.action_mask import unpack
from tests.learner.conftest import Backend, MakePPO, MakeRollout


def test_before_the_first_step_the_ratio_is_one_and_the_entropy_is_that_of_the_allowed_actions(
    backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    ppo = make_ppo("table", *backend, epochs=1, minibatch_size=1000)
    rollout = make_rollout(ppo, masks=True)
    with torch.inference_mode(), ppo.hardware.autocast():
        observations = ppo.hardware.tensor(rollout.observations[:-1]).flatten(0, 1)
        logits = ppo.model.actor_logits(observations).cpu()
    allowed = unpack(rollout.masks, 9).reshape(-1, 9)
    assert allowed[np.arange(48), rollout.actions.ravel()].all()
    entropies = [Categorical(logits=row[mask]).entropy() for row, mask in zip(logits, allowed, strict=True)]
    metrics = ppo.update(rollout)
    near = 1e-5 if backend[1] == "cpu" else 1e-3 if backend[0] == "fp32" else 2e-2
    assert metrics["policy/ratio_max"] == pytest.approx(1.0, abs=2 * near)
    assert metrics["policy/kl"] == pytest.approx(0.0, abs=0.1 * near)
    assert metrics["policy/entropy"] == pytest.approx(float(torch.stack(entropies).mean()), rel=2 * near)


@pytest.mark.parametrize("overlap", [False, True])
def test_what_is_never_allowed_is_never_learned(
    overlap: bool, backend: Backend, make_ppo: MakePPO, make_rollout: MakeRollout
) -> None:
    """To the last bit, whatever the entropy bonus and the gradient's norm; the other actions learn."""
    ppo = make_ppo("table", *backend, entropy_coef=0.3, overlap=overlap)
    output = ppo.model.actor_output
    before = [each.detach().clone() for each in (output.weight, output.bias)]
    for seed in range(3):
        metrics = ppo.update(make_rollout(ppo, seed=seed, masks=True))
        assert metrics["learner/bad_updates"] == 0
    for old, new in zip(before, (output.weight, output.bias), strict=True):
        assert torch.equal(old[0], new[0])
        assert (old[1:] != new[1:]).flatten(1).any(1).all() if old.ndim == 2 else (old[1:] != new[1:]).all()


def test_masks_that_allow_everything_change_nothing(make_ppo: MakePPO, make_rollout: MakeRollout) -> None:
    free, masked = make_ppo(), make_ppo()
    rollout, same = make_rollout(free), make_rollout(masked, masks=True)
    for name in ("observations", "actions", "log_probs", "rewards", "terminated", "truncated"):
        getattr(same, name)[:] = getattr(rollout, name)
    same.masks[:] = 255
    same._final = rollout._final
    assert free.update(rollout) == masked.update(same)
