"""One arena as a PettingZoo environment in which every car is an agent."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rlbot.env.action_mask import allowed
from rlbot.env.observations import AnyObservation
from rlbot.env.own_actions import AnyActions
from rlbot.env.rules import Rules
from rlbot.env.vector import make_actions, make_batch
from rlbot.picture import TopView
from rlbot.sim import State

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise ImportError("parallel_env needs PettingZoo: pip install 'rlbot-trainer[pettingzoo]'") from error

_Row = TypeVar("_Row")


class parallel_env(ParallelEnv[str, NDArray[np.float32], Any]):  # type: ignore[misc] # mypy does not look at it
    """Soccar for PettingZoo: `rlbot.env.parallel_env(blue=2, orange=2)`. The agents are blue_0, blue_1, orange_0, ...

    Every agent observes Box (180,) from its own side, see `rlbot.env.observation.OBSERVATION`, and acts by Box (8,) in
    [-1, 1], the controls of its car, or by Discrete (90), a row of `rlbot.env.ACTION_TABLE`, if `discrete` is True;
    `observation` and `actions` change them. An episode ends for all agents at once: a goal terminates it, a limit
    truncates it.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - PettingZoo's own declaration
        "name": "rocketsim_v0", "render_modes": ["rgb_array"], "render_fps": 15, "is_parallelizable": True,
    }  # fmt: skip

    def __init__(
        self,
        blue: int = 1,
        orange: int = 1,
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
        """The arguments and errors are those of RocketSimEnv, without an opponent."""
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode={render_mode!r}: give 'rgb_array' or None; rlbot.watch shows matches in 3D")
        self._batch = make_batch(
            1, blue, orange, terms, reset_mix, rules, collision_meshes, engine, observation=observation
        )
        teams = self._batch.car_team.tolist()
        self.possible_agents = [
            f"{'orange' if team else 'blue'}_{teams[:row].count(team)}" for row, team in enumerate(teams)
        ]
        self.agents: list[str] = []
        # Every agent has spaces of its own, so that seeding one leaves the others alone.
        seen = self._batch.single_observation_space
        done, self._take, self._table = make_actions(discrete, actions, rules)
        self.observation_spaces = {agent: deepcopy(seen) for agent in self.possible_agents}
        self.action_spaces = {agent: deepcopy(done) for agent in self.possible_agents}
        self._controls = np.zeros((len(teams), 8), np.float32)
        self._view = TopView() if render_mode is not None else None
        self.render_mode, self._steps, self._seconds_per_step = render_mode, 0, rules.seconds_per_step
        if render_mode is not None:  # recorders play the pictures back at the pace of the game
            self.metadata = {**self.metadata, "render_fps": round(1 / rules.seconds_per_step)}

    @property
    def arena(self) -> State:
        """The current state as arrays of one row."""
        return self._batch.state

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[NDArray[np.float32]]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, dict[str, Any]]]:
        """Start an episode with all agents. Seeds work as in RocketSimEnv."""
        self.agents, self._steps = self.possible_agents[:], 0
        if self._view is not None:
            self._view.clear()
        observations, _ = self._batch.reset(seed=seed)
        return self._by_agent(observations), self._infos()

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, NDArray[np.float32]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Advance by tick_skip ticks under the actions of all agents. Returns observations, rewards, terminations,
        truncations and infos; those of the step that ends an episode hold "ended", see BatchEnv. Discrete actions have
        an "action_mask" there (K,), 1 where an action has an effect (`rlbot.env.action_mask`). After it there are no
        agents, and all five are empty until the next `reset`.

        Raises ValueError, which names the agent, if an agent's action is missing, has another shape or is not finite,
        and if an action is of nobody.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        if set(actions) != set(self.agents):
            raise ValueError(f"actions={sorted(actions)}: must be of the agents {', '.join(self.agents)}")
        for row, agent in enumerate(self.agents):
            self._take(actions[agent], self._controls[row], f"action of {agent}")
        observations, rewards, terminated, truncated, info = self._batch.step(self._controls)
        self._steps += 1
        infos = self._infos()
        if info:
            for each in infos.values():
                each["ended"] = int(info["ended"][0])
        result = (
            self._by_agent(observations), self._by_agent(rewards.tolist()), self._by_agent(terminated.tolist()),
            self._by_agent(truncated.tolist()), infos,
        )  # fmt: skip
        if info:
            self.agents = []
        return result

    def render(self) -> NDArray[np.uint8] | None:
        """The field from above as it is now, (440, 640, 3), or None if there is no render_mode."""
        if self._view is None:
            return None
        return self._view.draw(self._batch.state, self._steps * self._seconds_per_step)

    def _infos(self) -> dict[str, dict[str, Any]]:
        if self._table is None:
            return {agent: {} for agent in self.agents}
        masks = allowed(self._batch, slice(None), self._table).astype(np.int8)
        return {agent: {"action_mask": mask} for agent, mask in self._by_agent(masks).items()}

    def _by_agent(self, rows: Iterable[_Row]) -> dict[str, _Row]:
        return dict(zip(self.possible_agents, rows, strict=True))
