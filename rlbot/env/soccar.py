"""One car of one arena as a Gymnasium environment; an opponent plays the other cars."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rlbot.env.batch import ACTION_SPACE
from rlbot.env.observations import AnyObservation
from rlbot.env.own_actions import AnyActions
from rlbot.env.rules import Rules
from rlbot.env.vector import Policy, RocketSimVectorEnv, make_actions
from rlbot.picture import TopView
from rlbot.sim import State


class RocketSimEnv(gymnasium.Env[NDArray[np.float32], Any]):
    """Soccar as a Gymnasium environment: `gymnasium.make("rlbot:RocketSim-v0", blue=1, orange=1, opponent="idle")`.

    You play the first blue car. Observation: Box (180,), see `rlbot.env.observation.OBSERVATION`. Action: Box (8,) in
    [-1, 1]: throttle, steer, pitch, yaw, roll, jump, boost, handbrake; the last three are pressed if above 0. With
    `discrete=True` it is Discrete (90): a row of `rlbot.env.ACTION_TABLE`. `observation` and `actions` change them.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 - gymnasium's own declaration

    def __init__(
        self,
        blue: int = 1,
        orange: int = 1,
        opponent: str | Policy = "idle",
        terms: Mapping[str, float] | None = None,
        reset_mix: Mapping[str, float] | None = None,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        collision_meshes: str | Path | None = None,
        render_mode: str | None = None,
        engine: str = "auto",
        discrete: bool = False,
        observation: AnyObservation = "default",
        actions: AnyActions | None = None,
    ) -> None:
        """The arguments and errors are those of RocketSimVectorEnv, for one arena. `render_mode`: "rgb_array", or None
        for no pictures."""
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode={render_mode!r}: give 'rgb_array' or None; rlbot.watch shows matches in 3D")
        self._game = RocketSimVectorEnv(
            1, blue, orange, opponent, terms, reset_mix, rules, collision_meshes, engine=engine, observation=observation
        )
        self.observation_space = self._game.single_observation_space
        self.action_space, self._take, self._table = make_actions(discrete, actions, rules)
        self.render_mode = render_mode
        self._view = TopView() if render_mode is not None else None
        self._over, self._steps, self._seconds_per_step = False, 0, rules.seconds_per_step
        if render_mode is not None:  # recorders play the pictures back at the pace of the game
            self.metadata = {**self.metadata, "render_fps": round(1 / rules.seconds_per_step)}
        self._action = np.zeros(ACTION_SPACE.shape, np.float32)

    def action_masks(self) -> NDArray[np.bool_]:
        """(K,): which of the K actions (rows of ACTION_TABLE, or of `actions`) have an effect now, as MaskablePPO of
        sb3-contrib asks; see `rlbot.env.action_mask`."""
        mask: NDArray[np.bool_] = self._game.allowed(self._table)[0]
        return mask

    @property
    def state(self) -> State:
        """The current state as arrays of one row; once an episode has ended, the first state of the next one."""
        return self._game.state

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode. If `seed` is given, the episode depends only on it and on the actions, bit for bit.
        Otherwise the random numbers continue; an environment that was never seeded takes entropy from the system."""
        super().reset(seed=seed)
        self._over, self._steps = False, 0
        if self._view is not None:
            self._view.clear()
        observations, _ = self._game.reset(seed=seed)
        return observations[0], {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Advance by tick_skip ticks under `action` (8,), clipped to [-1, 1], or () if it is discrete. A goal
        terminates the episode, a limit truncates it; the returned observation is then the last one.

        Raises ValueError if `action`, or the controls that the opponent returns, have another shape or hold a number
        that is not finite."""
        self._take(action, self._action, "action")
        observations, rewards, terminated, truncated, info = self._game.step(self._action[None])
        self._over, self._steps = bool(info), self._steps + 1
        last = info["final_obs"][0] if info else observations[0]
        return last, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def render(self) -> NDArray[np.uint8] | None:
        """The field from above as it is now, (440, 640, 3), or None if there is no render_mode."""
        if self._view is None:
            return None
        state = self._game.final if self._over else self._game.state
        return self._view.draw(state, self._steps * self._seconds_per_step)
