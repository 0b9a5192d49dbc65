"""rlgym-learn 2, the usual trainer for RLGym, with the environment of rlbot.bench.peers.

Its PPO is that of rlgym-learn-algos, on the CPU in float32, with the layers, batch, minibatch, epochs and learning rate
of the settings; all cars learn. Its networks have no layer norm and take the 132 numbers of DefaultObs. Each of its
processes has one environment, so there are as many arenas as processes.
"""

import os
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rlgym_learn import (
    BaseConfigModel,
    LearningCoordinator,
    LearningCoordinatorConfigModel,
    ProcessConfigModel,
    SerdeTypesModel,
)
from rlgym_learn.pyany_serde import PyAnySerdeType
from rlgym_learn_algos.ppo import (
    BasicCritic,
    DiscreteFF,
    ExperienceBufferConfigModel,
    GAETrajectoryProcessor,
    GAETrajectoryProcessorConfigModel,
    NumpyExperienceBuffer,
    PPOAgentController,
    PPOAgentControllerConfigModel,
    PPOLearnerConfigModel,
    SeparateActorCritic,
)

from rlbot.bench.peers import only_rlgym
from rlbot.curriculum.stages import TEAM_SIZES
from rlbot.settings.schema import LearnerConfig, TrainConfig

_NEVER = 10**15  # timesteps


class RLGymLearn:
    """A training of rlgym-learn. It needs a process of its own, since it silences the standard output."""

    def __init__(self, config: TrainConfig, team_size: str, processes: int) -> None:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for its worker processes, as its guide recommends
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)  # it and its processes print a lot
        if config.hardware.threads is not None:
            torch.set_num_threads(config.hardware.threads)
        self._folder = TemporaryDirectory(prefix="rlbot-bench-")
        self._batch_size = config.learner.batch_size
        buffer = NumpyExperienceBuffer(GAETrajectoryProcessor())
        environment = partial(only_rlgym, config.env, TEAM_SIZES[team_size], config.seed)
        controller = PPOAgentController(partial(_actor_critic, config.model.hidden), _optimizers, buffer)
        with redirect_stderr(StringIO()):  # its progress bar
            settings = _settings(config, processes, self._folder.name)
            self._coordinator = LearningCoordinator(environment, controller, settings)
        for each in (buffer.log_probs, buffer.values, buffer.advantages):
            each.pin_memory = False  # 0.4.2 pins memory, which PyTorch can only do with a GPU

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Whole iterations until `seconds` have passed; returns agent steps and the seconds they took."""
        coordinator, began = self._coordinator, perf_counter()
        before = coordinator.cumulative_timesteps
        while coordinator.cumulative_timesteps == before or perf_counter() - began < seconds:
            coordinator.config.base_config.timestep_limit = coordinator.cumulative_timesteps + self._batch_size
            coordinator._run()  # start() would end its processes at the limit and hide errors
        return coordinator.cumulative_timesteps - before, perf_counter() - began

    def close(self) -> None:
        """End the processes of rlgym-learn."""
        self._coordinator.cleanup()
        self._folder.cleanup()


def _settings(config: TrainConfig, processes: int, folder: str) -> Any:
    space = PyAnySerdeType.TUPLE((PyAnySerdeType.STRING(), PyAnySerdeType.INT()))
    return LearningCoordinatorConfigModel(
        base_config=BaseConfigModel(
            serde_types=SerdeTypesModel(
                agent_id_serde_type=PyAnySerdeType.STRING(),
                obs_serde_type=PyAnySerdeType.NUMPY(np.float64),
                action_serde_type=PyAnySerdeType.NUMPY(np.int64),
                reward_serde_type=PyAnySerdeType.FLOAT(),
                obs_space_serde_type=space,
                action_space_serde_type=space,
            ),
            random_seed=config.seed,
            flinks_folder=f"{folder}/shared",
        ),
        process_config=ProcessConfigModel(n_proc=processes),
        agent_controller_config=_ppo(config.learner),
        agent_controller_save_folder=f"{folder}/checkpoints",
    )


def _ppo(learner: LearnerConfig) -> Any:
    rate = {"lr": learner.learning_rate}
    return PPOAgentControllerConfigModel(
        timesteps_per_iteration=learner.batch_size,
        save_every_ts=_NEVER,
        learner_config=PPOLearnerConfigModel(
            n_epochs=learner.epochs,
            batch_size=learner.minibatch_size,  # of a gradient step
            ent_coef=learner.entropy_coef,
            clip_range=learner.clip_range,
            max_grad_norm=learner.max_grad_norm,
            optimizer_named_parameter_group_kwargs={"actor": rate, "critic": rate},
            advantage_standardization=learner.normalize_advantage,
            device="cpu",
        ),
        experience_buffer_config=ExperienceBufferConfigModel(
            max_size=learner.batch_size,  # no experience of earlier iterations
            device="cpu",
            trajectory_processor_config=GAETrajectoryProcessorConfigModel(
                gamma=learner.gamma, lmbda=learner.gae_lambda, standardize_rewards=learner.normalize_return
            ),
        ),
    )


def _actor_critic(
    hidden: tuple[int, ...], obs: tuple[str, int], actions: tuple[str, int], dtype: Any, device: Any, _: str | None
) -> Any:
    return SeparateActorCritic(
        DiscreteFF(obs[1], actions[1], hidden, dtype, device), BasicCritic(obs[1], hidden, dtype, device)
    )


def _optimizers(model: Any, settings: dict[str, Any], _: str | None) -> list[torch.optim.Optimizer]:
    return [
        torch.optim.Adam(part.parameters(), **settings[name])
        for name, part in (("actor", model.actor), ("critic", model.critic))
    ]
