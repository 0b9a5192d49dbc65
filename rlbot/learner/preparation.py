"""What an update learns from: values, advantages and returns of the rows of a rollout, on the device."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlbot.collect.rollout import Rollout
from rlbot.hardware import Hardware
from rlbot.learner.batch import Batch
from rlbot.learner.batch_shard import BatchShard
from rlbot.learner.gae import gae, next_values
from rlbot.learner.losses import importance
from rlbot.learner.return_scale import ReturnScale
from rlbot.learner.sequences import Sequences
from rlbot.model.own import AnyModel


@dataclass(frozen=True)
class Preparation:
    """Makes a batch of a finished rollout. The settings are those of PPO, which shares `model` and `return_scale`.

    sequence_length: None if the model is not recurrent.
    """

    model: AnyModel
    hardware: Hardware
    return_scale: ReturnScale
    gamma: float
    gae_lambda: float
    normalize_advantage: bool
    normalize_return: bool
    overlap: bool
    sequence_length: int | None

    def __call__(self, rollout: Rollout) -> tuple[Batch, dict[str, float]]:
        """Returns the rows, and metrics of the values and advantages."""
        shard = BatchShard(self.hardware.group, rollout.num_agents)
        count = rollout.num_steps * rollout.num_agents
        move, reduced = self.hardware.tensor, self.hardware.dtype
        # Observations are rounded once here, not again by every layer that reads them.
        observations = move(rollout.observations).flatten(0, 1).to(reduced)
        behaviour = move(rollout.log_probs).flatten()
        # The observations after the last step, then the final observations of truncated rows.
        beyond = torch.cat([observations[count:], move(rollout.final_observations).to(reduced)])
        observations = observations[:count]
        sequences = Sequences(rollout.num_agents, self.sequence_length)
        seen = self._seen(sequences, observations, rollout)
        log_probs, values = self._evaluate_before(sequences, observations, seen, behaviour)
        every_value = torch.cat([values, self._values(beyond)])  # a GPU computes it while the host goes on

        terminated, truncated = rollout.terminated, rollout.truncated
        rewards, scale = rollout.rewards, 1.0
        if self.normalize_return:
            self.return_scale.update(rewards, terminated | truncated, shard)
            scale = self.return_scale.scale
            rewards = rewards / np.float32(scale)
        host_values = self.hardware.array(every_value)
        end = count + rollout.num_agents
        table, final_values = host_values[:end].reshape(-1, rollout.num_agents), host_values[end:]
        following = next_values(table, rollout.final_index, final_values)
        advantages, returns = gae(rewards, table[:-1], following, terminated, truncated, self.gamma, self.gae_lambda)
        metrics, mean, deviation = _summary(shard, table[:-1], advantages, returns, scale)
        if self.normalize_advantage:
            # Over the batch, not the minibatch: then a row's weight does not depend on the other rows of its minibatch,
            # and the mean of the minibatches' gradients is the gradient of the batch.
            with np.errstate(invalid="ignore"):  # a reward that is not finite shows up in "learner/bad_updates"
                advantages = (advantages - np.float32(mean)) / np.float32(deviation + 1e-8)
        targets = move(np.stack([advantages.ravel(), returns.ravel()]))
        if self.overlap:
            targets[0] *= importance(log_probs, behaviour)
        columns = [sequences.fold(each) for each in (log_probs, targets[0], targets[1], values)]
        return Batch(shard, *seen[:3], *columns, *seen[3:]), metrics

    def _seen(self, sequences: Sequences, observations: Tensor, rollout: Rollout) -> tuple[Tensor, ...]:
        """Returns what the model evaluates: observations, actions and action masks; if it is recurrent, their
        sequences, the states before them, and where episodes begin."""
        actions, masks = (self.hardware.tensor(each).flatten(0, 1) for each in (rollout.actions, rollout.masks))
        if self.sequence_length is None:
            return observations, actions, masks
        size = self.model.observation_size
        begins = np.zeros_like(rollout.terminated)  # at the first step the stored state says it
        begins[1:] = (rollout.terminated | rollout.truncated)[:-1]
        begun, states = self.hardware.tensor(begins).flatten(), sequences.fold(observations[:, size:])
        columns = observations[:, :size], actions, masks, begun
        observations, actions, masks, begun = (sequences.fold(each) for each in columns)
        return observations, actions, masks, states[:, 0].contiguous(), begun

    @torch.inference_mode()
    def _values(self, observations: Tensor) -> Tensor:
        with self.hardware.autocast():
            return torch.cat([self.model.value(part) for part in torch.split(observations, self.hardware.rows)])

    @torch.inference_mode()
    def _evaluate_before(
        self, sequences: Sequences, observations: Tensor, seen: tuple[Tensor, ...], log_probs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the log-probabilities of the stored actions and the values of the observations before the update."""
        if self.hardware.precision == "fp32" and not self.overlap:
            return log_probs, self._values(observations)
        # With overlap the stored log-probabilities are of an older policy, and in reduced precision they are rounded
        # differently. They are computed anew, so that the ratio measures only what the update changed.
        parts = zip(*(self.parts(each) for each in seen), strict=True)
        with self.hardware.autocast():
            results = [self.model.evaluate(*part) for part in parts]
        found = (torch.cat([each[k] for each in results]) for k in (0, 2))
        before, values = (sequences.unfold(each) for each in found)
        return before, values

    def parts(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Splits rows, or sequences, into parts that go through the network at once."""
        return torch.split(rows, max(self.hardware.rows // (self.sequence_length or 1), 1))


def _summary(
    shard: BatchShard, values: Any, advantages: Any, returns: Any, scale: float
) -> tuple[dict[str, float], float, float]:
    """Returns metrics of all ranks' values before the update and advantages before standardising; then the mean and
    the standard deviation of the advantages."""
    with np.errstate(invalid="ignore"):  # rewards that are not finite give NaN here; no warning is needed
        columns = np.stack([each.ravel() for each in (values, advantages, returns, returns - values)], axis=1)
    means, deviations = (each.tolist() for each in shard.moments(columns))
    metrics = {
        "value/explained_variance": 1.0 - (deviations[3] / deviations[2]) ** 2 if deviations[2] else float("nan"),
        "value/mean": means[0],
        "value/return_scale": scale,
        "advantage/mean": means[1],
        "advantage/std": deviations[1],
    }
    return metrics, means[1], deviations[1]
