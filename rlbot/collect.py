"""Play the current policy in the batch of arenas and store what happened."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlbot.curriculum import Opponents
from rlbot.env.batch import COUNTS, BatchEnv
from rlbot.hardware import Hardware
from rlbot.learner import Rollout
from rlbot.model import ActorCritic


class Collector:
    """The batch, the policy and the opponents together. Episodes go on across rollouts.

    learner_cars (A,) are the rows of the batch that the policy plays and learns from; `opponents` plays the others.
    """

    def __init__(
        self,
        env: BatchEnv,
        model: ActorCritic,
        hardware: Hardware,
        opponents: Opponents | None,
        learner_cars: NDArray[np.int64],
        seed: int,
    ) -> None:
        self.env, self.model, self.hardware, self.opponents = env, model, hardware, opponents
        self.learner_cars = learner_cars
        self._other_cars = np.setdiff1d(np.arange(env.num_envs), learner_cars)
        assert (opponents is None) == (len(self._other_cars) == 0)
        self._generator = torch.Generator(hardware.device).manual_seed(seed)
        self._obs, _ = env.reset(seed=seed)
        self._controls = np.zeros((env.num_envs, 8), np.float32)
        self._episode_return = np.zeros(env.num_envs)
        self._episode_steps = np.zeros(env.num_envs, np.int64)

    @property
    def num_agents(self) -> int:
        return len(self.learner_cars)

    @torch.inference_mode()
    def collect(self, rollout: Rollout) -> dict[str, float]:
        """Fill `rollout` (T, A) from where the last one stopped; returns the metrics of what was played."""
        # RocketSim keeps state that cannot be saved; settling here too is what makes a resumed run go on exactly like one
        # that was never stopped.
        self._obs = self.env.restore(*self.env.snapshot())
        self.env.clear_statistics()
        returns: list[float] = []
        lengths: list[int] = []
        total = 0.0
        for _ in range(rollout.num_steps):
            obs = self._obs[self.learner_cars]
            actions, log_probs = self._act(obs)
            self._obs, rewards, terminated, truncated, info = self.env.step(self._controls)
            mine = self.learner_cars
            self._episode_return += rewards
            self._episode_steps += 1
            total += float(rewards[mine].sum())
            final_obs = info["final_obs"][mine] if info else None
            rollout.add(obs, actions, log_probs, rewards[mine], terminated[mine], truncated[mine], final_obs)
            if info:
                over = terminated | truncated
                returns += self._episode_return[mine][over[mine]].tolist()
                lengths += self._episode_steps[mine][over[mine]].tolist()
                self._episode_return[over], self._episode_steps[over] = 0.0, 0
                if self.opponents is not None:
                    self.opponents.redraw(np.flatnonzero(info["ended"]))
        rollout.finish(self._obs[self.learner_cars])
        return self._metrics(total / (rollout.num_steps * self.num_agents), returns, lengths)

    def _act(self, obs: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the controls of every car; returns the learner's actions and their log-probabilities."""
        with self.hardware.autocast():
            actions, log_probs = self.model.act(
                torch.from_numpy(obs).to(self.hardware.device), generator=self._generator
            )
        self._controls[self.learner_cars] = self.model.head.controls(actions).cpu().numpy()
        if self.opponents is not None:
            self._controls[self._other_cars] = self.opponents.controls(self._obs[self._other_cars])
        return actions.cpu(), log_probs.cpu()

    def _metrics(self, reward: float, returns: list[float], lengths: list[int]) -> dict[str, float]:
        """Means over the learner's cars; a rate "per minute" is for one car and a minute of play."""
        env, mine = self.env, self.learner_cars
        counts = dict(zip(COUNTS, env.counts[mine].sum(0), strict=True))
        steps = counts.pop("steps")
        minutes = steps * env.rules.seconds_per_step / 60
        metrics = {"reward/step": reward, "episode/count": float(len(returns))}
        if returns:
            metrics["reward/episode"] = float(np.mean(returns))
            metrics["episode/seconds"] = float(np.mean(lengths)) * env.rules.seconds_per_step
        metrics["play/speed"] = counts.pop("speed") / steps
        metrics["play/air_share"] = counts.pop("air") / steps
        metrics |= {f"play/{name}_per_minute": count / minutes for name, count in counts.items()}
        for k, name in enumerate(env.reward.names):
            metrics[f"reward_term/{name}"] = float(env.books.before[mine, k].sum()) / steps
            if env.reward.is_transformed(k):
                metrics[f"reward_term_transformed/{name}"] = float(env.books.after[mine, k].sum()) / steps
        return metrics

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All that decides what is collected next, as (arrays, JSON-able)."""
        arrays, document = self.env.snapshot()
        arrays |= {
            "episode_return": self._episode_return.copy(),
            "episode_steps": self._episode_steps.copy(),
            "action_generator": self._generator.get_state(),
        }
        return arrays, document | {"opponents": self.opponents.state() if self.opponents else None}

    def restore(self, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Continue from a `snapshot()`. Raises ValueError where it is of another batch of arenas."""
        self._obs = self.env.restore({name: np.asarray(each) for name, each in arrays.items()}, document)
        self._episode_return[:] = np.asarray(arrays["episode_return"])
        self._episode_steps[:] = np.asarray(arrays["episode_steps"])
        self._generator.set_state(torch.as_tensor(arrays["action_generator"]).cpu())
        if self.opponents is not None and document["opponents"] is not None:
            self.opponents.load_state(document["opponents"])
