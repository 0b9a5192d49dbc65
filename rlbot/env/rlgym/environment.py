"""This project's game behind RLGym's interface, for trainers that take an RLGym environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env.action import ACTION_TABLE, choose_controls, take_controls
from rlbot.env.observation import OBSERVATION_SIZE
from rlbot.env.rlgym.states import GameStates
from rlbot.env.rules import Rules
from rlbot.env.vector import make_batch


class RLGymEnv:
    """Soccar as `rlgym.api.RLGym` has it: `reset()` gives observations by agent, `step(actions)` observations, rewards,
    terminated and truncated. The agents are blue-0, blue-1, orange-0, ...

    They observe the 180 numbers of `rlbot.env.observation.OBSERVATION` and choose a row of `rlbot.env.ACTION_TABLE`, or
    what RLGym's `obs_builder` and `action_parser` say. A goal terminates an episode, a limit truncates it, for all
    agents at once; then call `reset`. `state` is RLGym's GameState.
    """

    def __init__(
        self,
        blue: int = 1,
        orange: int = 1,
        terms: Mapping[str, float] | None = None,
        reset_mix: Mapping[str, float] | None = None,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        collision_meshes: str | Path | None = None,
        engine: str = "auto",
        obs_builder: Any = None,
        action_parser: Any = None,
    ) -> None:
        """The arguments and errors are those of RocketSimEnv, without an opponent. `action_parser`: one whose controls
        stay the same through a step, such as RLGym's LookupTableAction; `rules` repeats them."""
        self._batch = make_batch(1, blue, orange, terms, reset_mix, rules, collision_meshes, engine)
        self._reader, self._rules = GameStates(self._batch.arenas), rules
        self._builder, self._parser = obs_builder, action_parser
        self.agents: list[str] = self._reader.agents[0]
        self.state: Any = None
        self.shared_info: dict[str, Any] = {}
        self._controls = np.zeros((len(self.agents), 8), np.float32)

    def observation_space(self, agent: str) -> Any:
        return ("real", OBSERVATION_SIZE) if self._builder is None else self._builder.get_obs_space(agent)

    def action_space(self, agent: str) -> Any:
        return ("discrete", len(ACTION_TABLE)) if self._parser is None else self._parser.get_action_space(agent)

    @property
    def observation_spaces(self) -> dict[str, Any]:
        return {agent: self.observation_space(agent) for agent in self.agents}

    @property
    def action_spaces(self) -> dict[str, Any]:
        return {agent: self.action_space(agent) for agent in self.agents}

    def reset(self, seed: int | None = None) -> dict[str, Any]:
        """Starts an episode. Seeds work as in RocketSimEnv."""
        observations, _ = self._batch.reset(seed=seed)
        (self.state,) = self._reader.read(self._batch.state, [0])
        for part in (self._builder, self._parser):
            if part is not None:
                part.reset(self.agents, self.state, self.shared_info)
        return self._observed(observations)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool]]:
        """Advances by tick_skip ticks under the actions of all agents, a row of ACTION_TABLE each, () or (1,).

        Raises ValueError, which names the agent, if an action is missing or not allowed, and if the controls of
        `action_parser` change within a step."""
        if self.state is None or set(actions) != set(self.agents):
            raise ValueError(f"actions={sorted(actions)}: must be of {', '.join(self.agents)}, after a reset")
        if self._parser is None:
            for row, agent in enumerate(self.agents):
                choose_controls(np.asarray(actions[agent]).squeeze(), self._controls[row], f"action of {agent}")
        else:
            parsed = self._parser.parse_actions(dict(actions), self.state, self.shared_info)
            for row, agent in enumerate(self.agents):
                take_controls(self._constant(parsed[agent], agent), self._controls[row], f"controls of {agent}")
        observations, rewards, terminated, truncated, _ = self._batch.step(self._controls)
        (self.state,) = self._reader.read(self._batch.state, (self._batch.steps * self._rules.tick_skip).tolist())
        return (
            self._observed(observations), self._by_agent(rewards), self._by_agent(terminated),
            self._by_agent(truncated),
        )  # fmt: skip

    def close(self) -> None:
        self._batch.close()

    def _constant(self, controls: Any, agent: str) -> Any:
        rows = np.atleast_2d(controls)
        if len(rows) not in (1, self._rules.tick_skip) or (rows != rows[0]).any():
            ticks = self._rules.tick_skip
            raise ValueError(f"controls of {agent}: must be the same for all {ticks} ticks of a step (rules.tick_skip)")
        return rows[0]

    def _observed(self, observations: NDArray[np.float32]) -> dict[str, Any]:
        if self._builder is None:
            return dict(zip(self.agents, observations, strict=True))
        built: dict[str, Any] = self._builder.build_obs(self.agents, self.state, self.shared_info)
        return built

    def _by_agent(self, values: NDArray[Any]) -> dict[str, Any]:
        return dict(zip(self.agents, values.tolist(), strict=True))
