"""Small learners and rollouts for the tests of the learner."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rlbot.collect.rollout import Rollout
from rlbot.env.action_mask import mask_size, pack
from rlbot.hardware import Hardware
from rlbot.learner import PPO
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head, masked

OBS = 6
TABLE = np.random.default_rng(0).uniform(-1, 1, size=(9, 8))
SETTINGS: dict[str, Any] = {
    "minibatch_size": 16,
    "epochs": 2,
    "learning_rate": 3e-3,
    "gamma": 0.9,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "clip_range_value": None,
    "entropy_coef": 0.01,
    "value_coef": 0.5,
    "max_grad_norm": 0.5,
    "target_kl": None,
    "normalize_advantage": True,
    "normalize_return": True,
}

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
NO_BF16 = torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0)  # before Ampere, nor TF32
ON_GPU = [
    pytest.param(("fp32", "cuda"), marks=GPU, id="cuda-fp32"),
    pytest.param(("fp16", "cuda"), marks=GPU, id="cuda-fp16"),
    *(
        pytest.param(
            (precision, "cuda"),
            marks=[*GPU, pytest.mark.skipif(NO_BF16, reason=f"needs a GPU with {precision}")],
            id=f"cuda-{precision}",
        )
        for precision in ("tf32", "bf16")
    ),
]
ON_CPU = [pytest.param((precision, "cpu"), id=f"cpu-{precision}") for precision in ("fp32", "bf16")]

Backend = tuple[str, str]  # precision and device, as make_ppo takes them
MakePPO = Callable[..., PPO]
MakeRollout = Callable[..., Rollout]


@pytest.fixture(params=[*ON_CPU, *ON_GPU])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Precision and device of an update: on the CPU, and on a GPU if there is one."""
    return request.param


@pytest.fixture
def make_ppo() -> MakePPO:
    """make_ppo(head="table", precision="fp32", device="cpu", **settings): the same weights every time."""

    def make(head: str = "table", precision: str = "fp32", device: str = "cpu", **settings: Any) -> PPO:
        hardware = Hardware.choose(device, precision)
        hardware.seed(3)
        model = ActorCritic(OBS, make_head(head, TABLE), (32, 32)).to(hardware.device)
        ppo = PPO(model, hardware=hardware, **{**SETTINGS, **settings})
        if precision == "fp16":  # a scale that fits at once: no step is lost while a larger one is tried
            ppo._scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
        return ppo

    return make


def random_mask(rng: np.random.Generator, rows: int, num_actions: int) -> np.ndarray:
    """(rows, num_actions): action 0 is never allowed, the last one always, the others half of the time."""
    mask = rng.random((rows, num_actions)) < 0.5
    mask[:, 0], mask[:, -1] = False, True
    return mask


@pytest.fixture
def make_rollout() -> MakeRollout:
    """make_rollout(ppo, num_steps, num_agents, seed, masks): random observations, rewards, endings and, if wanted,
    action masks; own actions."""

    def make(ppo: PPO, num_steps: int = 12, num_agents: int = 4, seed: int = 0, masks: bool = False) -> Rollout:
        rng, head = np.random.default_rng(seed), ppo.model.head
        generator = torch.Generator(ppo.hardware.device).manual_seed(seed)
        size = mask_size(head.num_outputs) if masks else 0
        rollout = Rollout(num_steps, num_agents, OBS, head.action_shape, head.action_dtype, size)
        for _ in range(num_steps):
            obs, final_obs = rng.normal(size=(2, num_agents, OBS)).astype(np.float32)
            allowed = pack(random_mask(rng, num_agents, head.num_outputs)) if masks else None
            with torch.inference_mode(), ppo.hardware.autocast():
                logits = ppo.model.actor_logits(torch.from_numpy(obs).to(ppo.hardware.device))
                bits = None if allowed is None else torch.from_numpy(allowed).to(ppo.hardware.device)
                actions, log_probs = head.sample_with_log_prob(masked(logits, bits), generator)
            terminated, truncated = rng.random((2, num_agents)) < 0.15
            rewards = rng.normal(size=num_agents)
            rollout.add(obs, actions.cpu(), log_probs.cpu(), rewards, terminated, truncated, final_obs, allowed)
        rollout.finish(rng.normal(size=(num_agents, OBS)))
        return rollout

    return make
