"""Checks every option of conf/: composes the settings of a training run with it, and builds the objects."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from rlbot.validation.require import require

if TYPE_CHECKING:
    from rlbot.curriculum import Stage
    from rlbot.settings.schema import TrainConfig

MAX_ARENAS = 10  # number of arenas in a check: enough for every team size of a stage, and quick


def stage(meshes: str | None, index: int, teams: str) -> str:
    from rlbot.training.build import make_stages

    config = _composed(meshes, "curriculum=three_stage", "env.num_envs=2")
    text = _stepped(config, make_stages(config)[index])
    require(f"{teams}:" in text, f"not {teams} but {text}")
    return text


def _composed(meshes: str | None, *overrides: str) -> "TrainConfig":
    from rlbot.settings.command import compose

    config = compose(overrides)
    arenas = min(config.env.num_envs, MAX_ARENAS)
    return dataclasses.replace(config, env=dataclasses.replace(config.env, collision_meshes=meshes, num_envs=arenas))


def _stepped(config: "TrainConfig", stage: "Stage") -> str:
    """Makes the arenas of a stage and steps them; returns a description."""
    import numpy as np

    from rlbot.training.build_env import make_env

    env = make_env(config, stage)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        obs, rewards, *_ = env.step(rng.uniform(-1, 1, (env.num_envs, 8)).astype(np.float32))
        finite = np.isfinite(obs).all() and np.isfinite(rewards).all()
        require(finite, "an observation or a reward is not finite")
    teams = ", ".join(sorted({f"{min(sizes)}v{max(sizes)}" for sizes in env.team_sizes}))
    return f"{stage.name}, {teams}: {env.num_envs} cars in {len(env.arenas)} arenas, 10 steps"


def options() -> list[tuple[str, str]]:
    """Returns (group, option) of every file in the groups of conf/ that a training run has, and of every recipe."""
    from rlbot.settings.config import config_dir

    groups = (*BUILDERS, "experiment")
    return [(group, file.stem) for group in groups for file in sorted((config_dir() / group).glob("*.yaml"))]


def setting(meshes: str | None, group: str, option: str) -> str:
    """Composes the settings of a run with one option of a group, and builds its objects; a recipe is only composed."""
    config = _composed(meshes, f"{group}={option}")
    if group == "experiment":
        return f"composed, {config.total_timesteps} timesteps"
    try:
        return f"composed and built: {BUILDERS[group](config)}"
    except ValueError as error:
        if not _right_refusal(config, str(error)):
            raise
        return f"composed, and refused as it must be here: {str(error).splitlines()[0]}"


def _right_refusal(config: "TrainConfig", message: str) -> bool:
    """Whether an error only says that this machine lacks the GPU that was asked for."""
    import torch

    if config.hardware.device == "cuda" and not torch.cuda.is_available():
        return message.startswith("hardware.device=cuda: PyTorch sees no CUDA GPU")
    return message.startswith("hardware.precision=bf16: this GPU has no bf16")


def _build_env(config: "TrainConfig") -> str:
    from rlbot.training.build import make_stages

    return _stepped(config, make_stages(config)[0])


def _build_reward(config: "TrainConfig") -> str:
    from rlbot.training.build_env import make_reward

    return f"{len(make_reward(config.reward).names)} terms"


def _build_model(config: "TrainConfig") -> str:
    from rlbot.training.build import make_model, make_network

    model = make_model(config)
    make_network(config).size()
    return f"{sum(each.numel() for each in model.parameters())} parameters"


def _build_learner(config: "TrainConfig") -> str:
    from rlbot.hardware import Hardware
    from rlbot.training.build import make_model, make_ppo

    ppo = make_ppo(config, make_model(config), Hardware.choose("cpu"))
    return f"learning rate {ppo.learning_rate:g}, {ppo.epochs} epochs"


def _build_curriculum(config: "TrainConfig") -> str:
    from rlbot.training.build import make_stages

    return "; ".join(_stepped(config, stage) for stage in make_stages(config))


def _build_hardware(config: "TrainConfig") -> str:
    from rlbot.training.build import make_hardware

    return make_hardware(config).reason


def _build_user(config: "TrainConfig") -> str:
    return config.user.name


BUILDERS: dict[str, Callable[["TrainConfig"], str]] = {
    "env": _build_env,
    "reward": _build_reward,
    "model": _build_model,
    "learner": _build_learner,
    "curriculum": _build_curriculum,
    "hardware": _build_hardware,
    "user": _build_user,
}
