"""One car of one arena as a plain Gymnasium environment, the other cars played by an opponent."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rlbot.env.batch import ACTION_SPACE, OBSERVATION_SPACE, BatchEnv, Rules
from rlbot.reward import Reward, Term
from rlbot.sim import load_meshes

Policy = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # observations (B, 180) -> controls (B, 8)
DEFAULT_TERMS = {
    "touch": 1.0,
    "speed_to_ball": 0.05,
    "face_ball": 0.01,
    "ball_to_goal": 0.1,
    "goal": 10.0,
    "concede": -8.0,
}
DEFAULT_RESETS = {"kickoff": 0.2, "near_ball": 0.5, "airborne": 0.1, "anywhere": 0.2}


class RocketSimEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Soccar as a Gymnasium environment: `gymnasium.make("RocketSim-v0", blue=1, orange=1, opponent="idle")`.

    You play the first blue car. Observation: Box (180,), see `rlbot.env.observation.OBSERVATION`. Action: Box (8,) in
    [-1, 1]: throttle, steer, pitch, yaw, roll, jump, boost, handbrake; the last three pressed above 0.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own declaration

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
    ) -> None:
        """`opponent` plays every other car: "idle", "random", or a function from observations (B, 180) to controls (B,
        8).

        Raises ValueError for team sizes other than 1 or 2, an unknown opponent, and where no collision meshes are
        found.
        """
        if blue not in (1, 2) or orange not in (1, 2):
            raise ValueError(f"blue={blue}, orange={orange}: a team has 1 or 2 cars")
        if isinstance(opponent, str) and opponent not in ("idle", "random"):
            raise ValueError(
                f"opponent={opponent!r}: give 'idle', 'random' or a function from observations to controls"
            )
        load_meshes(collision_meshes)
        self.observation_space, self.action_space, self.render_mode = OBSERVATION_SPACE, ACTION_SPACE, render_mode
        reward = Reward([Term(name, weight) for name, weight in (terms or DEFAULT_TERMS).items()])
        self._batch = BatchEnv([(blue, orange)], reward, reset_mix or DEFAULT_RESETS, rules)
        self._opponent = opponent
        self._observations = np.zeros((blue + orange, OBSERVATION_SPACE.shape[0]), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode. With a seed, it is a function of the seed and the actions alone, bit for bit."""
        super().reset(seed=seed)
        self._observations, _ = self._batch.reset(seed=seed)
        return self._observations[0].copy(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Play one step of tick_skip ticks. A goal terminates, a limit truncates; the observation is then the last
        one."""
        controls = np.empty((len(self._observations), 8), np.float32)
        controls[0] = action
        controls[1:] = self._others(self._observations[1:])
        self._observations, rewards, terminated, truncated, info = self._batch.step(controls)
        over = bool(terminated[0] or truncated[0])
        last = info["final_obs"][0] if over else self._observations[0]
        return last.copy(), float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def _others(self, observations: NDArray[np.float32]) -> NDArray[np.float32] | float:
        if self._opponent == "idle":
            return 0.0
        if self._opponent == "random":
            return self.np_random.uniform(-1.0, 1.0, (len(observations), 8)).astype(np.float32)
        assert callable(self._opponent)
        return self._opponent(observations)
