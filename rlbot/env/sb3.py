"""A whole batch of arenas for stable-baselines3, without a process for each arena."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from rlbot.env.action_mask import allowed
from rlbot.env.own_actions import AnyActions
from rlbot.env.vector import RocketSimVectorEnv, make_actions

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError("SB3VecEnv needs stable-baselines3: pip install stable-baselines3") from error

_Indices = None | int | Iterable[int]


class SB3VecEnv(VecEnv):  # type: ignore[misc] # mypy does not look at it
    """A BatchEnv or RocketSimVectorEnv as a VecEnv of stable-baselines3; each row of the batch is an environment of it.

    In a BatchEnv the rows are cars, and one policy plays them all. The step that ends an episode resets it and returns
    the first observation of the next one; the info of such a row has "terminal_observation" (size,),
    "TimeLimit.truncated" and "ended", as in BatchEnv.
    """

    def __init__(self, envs: VectorEnv, discrete: bool = False, actions: AnyActions | None = None) -> None:
        """`discrete`: actions are rows of ACTION_TABLE, or of `actions`, for a BatchEnv; a RocketSimVectorEnv has
        arguments of the same names. What is observed is said where `envs` is made. Raises ValueError if `envs` is not
        in autoreset mode SAME_STEP, or `actions` is no table."""
        mode = envs.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(f"envs are in autoreset mode {getattr(mode, 'value', mode)}: must be SameStep")
        self.envs = envs
        self._actions: NDArray[Any] = np.zeros(0)
        self._controls, self._table, space = None, None, envs.single_action_space
        if discrete or actions is not None:
            batch: Any = envs.unwrapped
            space, self._take, self._table = make_actions(discrete, actions, batch.rules)
            self._controls = np.zeros((envs.num_envs, 8), np.float32)
        super().__init__(envs.num_envs, envs.single_observation_space, space)

    def reset(self) -> NDArray[np.float32]:
        """Reset all arenas. After `seed(s)` everything that follows depends only on s and on the actions."""
        observations, _ = self.envs.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def step_async(self, actions: NDArray[Any]) -> None:
        if self._controls is None:
            self._actions = actions
        else:
            self._take(actions, self._controls)
            self._actions = self._controls

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        dones = terminated | truncated
        for row in np.flatnonzero(dones).tolist():
            infos[row] = {
                "terminal_observation": info["final_obs"][row],
                "TimeLimit.truncated": bool(truncated[row]),
                "ended": int(info["final_info"]["ended"][row]),
            }
        return observations, rewards, dones, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """(rows, K): which of the K discrete actions have an effect now, as MaskablePPO of sb3-contrib asks; see
        `rlbot.env.action_mask`."""
        envs: Any = self.envs.unwrapped
        if isinstance(envs, RocketSimVectorEnv):
            return envs.action_masks() if self._table is None else envs.allowed(self._table)
        return allowed(envs, slice(None), self._table)

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: _Indices = None) -> list[Any]:
        """The attribute of the batch, once for each of `indices`; `set_attr` and `env_method` act on the batch, too.
        Only `action_masks` is of each row."""
        holder = self if attr_name == "action_masks" else self.envs
        return [getattr(holder, attr_name)] * len(self._rows(indices))

    def set_attr(self, attr_name: str, value: Any, indices: _Indices = None) -> None:
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: _Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        if method_name == "action_masks":
            return list(self.action_masks()[self._rows(indices)])
        return [getattr(self.envs, method_name)(*method_args, **method_kwargs)] * len(self._rows(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: _Indices = None) -> list[bool]:
        return [False] * len(self._rows(indices))

    def _rows(self, indices: _Indices) -> Sequence[int]:
        rows: Sequence[int] = list(self._get_indices(indices))
        return rows
