"""RocketSim-v0 as a vector environment: many arenas in one batch, in each of which you play one car."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rlbot.env.action import ACTION_TABLE, NonFiniteControls, choose_controls, take_controls
from rlbot.env.action_mask import allowed
from rlbot.env.batch import ACTION_SPACE, DISCRETE_ACTION_SPACE, BatchEnv
from rlbot.env.observations import AnyObservation, chosen
from rlbot.env.own_actions import AnyActions, chosen_table
from rlbot.env.rules import Rules
from rlbot.reward import Reward, Term
from rlbot.sim import State, load_meshes
from rlbot.values.convert import checked
from rlbot.values.kinds import Count, Number, TeamSize

Policy = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # observations (B, size) -> controls (B, 8)
Take = Callable[..., None]  # writes the controls that actions mean: take_controls or choose_controls
DEFAULT_TERMS = {
    "touch": 1.0,
    "speed_to_ball": 0.05,
    "face_ball": 0.01,
    "ball_to_goal": 0.1,
    "goal": 10.0,
    "concede": -8.0,
}
DEFAULT_RESETS = {"kickoff": 0.2, "near_ball": 0.5, "airborne": 0.1, "anywhere": 0.2}


def make_batch(
    num_envs: int,
    blue: int,
    orange: int,
    terms: Mapping[str, float] | None,
    reset_mix: Mapping[str, float] | None,
    rules: Rules,
    collision_meshes: str | Path | None,
    engine: str,
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    observation: AnyObservation = "default",
) -> BatchEnv:
    """The arenas of an environment for other libraries; the arguments and errors are those of RocketSimVectorEnv."""
    sizes = (checked(TeamSize, blue, "blue"), checked(TeamSize, orange, "orange"))
    count = checked(Count, num_envs, "num_envs")
    weights = DEFAULT_TERMS if terms is None else checked(dict[str, Number], terms, "terms")
    reward = Reward([Term(name, weight) for name, weight in weights.items()])
    load_meshes(collision_meshes, engine)
    mix = DEFAULT_RESETS if reset_mix is None else reset_mix
    return BatchEnv(
        [sizes] * count,
        reward,
        mix,
        rules,
        autoreset_mode=autoreset_mode,
        engine=engine,
        observation=chosen(observation, sizes),
    )


def make_actions(
    discrete: bool, actions: AnyActions | None, rules: Rules
) -> tuple[gymnasium.spaces.Box | gymnasium.spaces.Discrete, Take, NDArray[np.float32] | None]:
    """The action space of a car in an environment for other libraries, what turns its actions into controls, and the
    table (K, 8) from which it chooses; None: its actions are controls."""
    if actions is not None:
        table = chosen_table(actions, rules.tick_skip)
        return gymnasium.spaces.Discrete(len(table)), partial(choose_controls, table=table), table
    return (DISCRETE_ACTION_SPACE, choose_controls, ACTION_TABLE) if discrete else (ACTION_SPACE, take_controls, None)


class RocketSimVectorEnv(VectorEnv):
    """N arenas as one batch: `gymnasium.make_vec("rlbot:RocketSim-v0", num_envs=N, blue=1, orange=1)`.

    You play the first blue car of each arena; `opponent` plays all others. Observations (N, 180) and actions (N, 8) are
    as in RocketSimEnv, infos and autoreset modes as in BatchEnv, with one row for each arena.
    """

    metadata: dict[str, Any] = BatchEnv.metadata

    def __init__(
        self,
        num_envs: int = 1,
        blue: int = 1,
        orange: int = 1,
        opponent: str | Policy = "idle",
        terms: Mapping[str, float] | None = None,
        reset_mix: Mapping[str, float] | None = None,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        collision_meshes: str | Path | None = None,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        engine: str = "auto",
        discrete: bool = False,
        observation: AnyObservation = "default",
        actions: AnyActions | None = None,
    ) -> None:
        """`opponent`: "idle", "random", or a function from observations (B, 180) to controls (B, 8), which is called
        once a step for the B other cars of all arenas. `terms`: weights of built-in reward terms; {} gives
        a reward of 0. `reset_mix`: share of each kind of reset. `discrete`: actions (N,) are rows of ACTION_TABLE, or
        of `actions`, a table of your own, with which they always are. `observation`: what all cars see, by default 180
        numbers. Both as in the settings env.observation and env.actions: see `observations.chosen` and
        `own_actions.chosen_table`.

        Raises ValueError if a value is not allowed or no collision meshes are found.
        """
        if render_mode is not None:
            raise ValueError(
                f"render_mode={render_mode!r}: this environment draws nothing; leave it None and read "
                "env.unwrapped.state, which holds ball and cars as arrays"
            )
        if not callable(opponent) and opponent not in ("idle", "random"):
            raise ValueError(
                f"opponent={opponent!r}: give 'idle', 'random' or a function from observations to controls"
            )
        self._batch = make_batch(
            num_envs, blue, orange, terms, reset_mix, rules, collision_meshes, engine, autoreset_mode, observation
        )
        count = len(self._batch.arenas)
        self.metadata, self.autoreset_mode, self.num_envs = self._batch.metadata, self._batch.autoreset_mode, count
        self.single_action_space, self._take, self._table = make_actions(discrete, actions, rules)
        self.single_observation_space = self._batch.single_observation_space
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self._opponent = opponent
        mine = self._batch.car_slot == 0
        self._mine, self._others = np.flatnonzero(mine), np.flatnonzero(~mine)
        self._observations = np.zeros((self._batch.num_envs, self._batch.observation.size), np.float32)
        self._controls = np.zeros((self._batch.num_envs, 8), np.float32)
        self._actions, self._replies = np.zeros((count, 8), np.float32), np.zeros((len(self._others), 8), np.float32)

    @property
    def rules(self) -> Rules:
        return self._batch.rules

    def action_masks(self) -> NDArray[np.bool_]:
        """(N, K): which of the K actions (rows of ACTION_TABLE, or of `actions`) have an effect now."""
        return self.allowed(self._table)

    def allowed(self, table: NDArray[np.float32] | None) -> NDArray[np.bool_]:
        """As `action_masks`, for the rows of any table (K, 8)."""
        return allowed(self._batch, self._mine, table)

    @property
    def state(self) -> State:
        """The N arenas as arrays, as they are now."""
        return self._batch.state

    @property
    def final(self) -> State:
        """The last state of the last episode of each arena."""
        return self._batch.final

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Reset all arenas. Returns observations (N, 180) and an empty dict. Seeds work as in BatchEnv."""
        super().reset(seed=seed)
        self._observations, info = self._batch.reset(seed=seed)
        return self._observations[self._mine], info

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Advance by tick_skip ticks under `actions` (N, 8), clipped to [-1, 1], or (N,) if they are discrete. Returns
        as BatchEnv.step, a row for each arena.

        Raises ValueError if `actions`, or the controls that `opponent` returns, have another shape or are not finite;
        the message says which of the two."""
        self._take(actions, self._actions)
        self._controls[self._mine] = self._actions
        if self._opponent == "random":
            self._controls[self._others] = self.np_random.uniform(-1.0, 1.0, self._replies.shape)
        elif callable(self._opponent):
            self._controls[self._others] = self._reply(self._opponent)
        self._observations, rewards, terminated, truncated, info = self._batch.step(self._controls)
        mine = self._mine
        return self._observations[mine], rewards[mine], terminated[mine], truncated[mine], _rows(info, mine)

    def _reply(self, opponent: Policy) -> NDArray[np.float32]:
        try:
            take_controls(opponent(self._observations[self._others]), self._replies, "controls of opponent")
        except NonFiniteControls as error:
            car = self._others[error.row]
            n, slot = self._batch.car_arena[car], self._batch.car_slot[car]
            raise NonFiniteControls(f"{error} (slot {slot} of arena {n})", error.row) from None
        return self._replies


def _rows(info: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """The same info, of some rows only."""
    return {name: _rows(each, rows) if isinstance(each, dict) else each[rows] for name, each in info.items()}
