"""RLGym's parts in a batch of arenas: an object of each part for every arena, called in RLGym's order.

A reward function, `RLGymReward`, is the function of a reward term; a done condition, `RLGymEnding`, that of an ending.
Their objects may keep state during an episode. This state is not saved: after a resume they are reset in the middle of
the episodes that continue.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env.own_ending import TERMINAL, Clocks
from rlbot.env.rlgym.states import GameStates
from rlbot.sim import State
from rlbot.sim.arenas import Arenas
from rlbot.values.target import call


class SharedInfo(dict[str, Any]):
    """What the parts of an arena tell each other."""

    def __missing__(self, key: str) -> Any:
        raise KeyError(f"{key} is not in shared_info; env.observation.shared_info may name a provider of it")


class Game:
    """What RLGym's parts of one batch share. `states`, `agents` and `shared_info`: those of each arena. `fresh`: the
    arenas whose episodes begin. `behind`: whether the batch has made a step since `advance`. `seconds`: spent on
    RLGym's parts, in `steps` steps."""

    def __init__(self, arenas: Arenas, parts: Sequence["_Part"], controls: NDArray[np.float32]) -> None:
        """`controls` (C, 8): always those of the last step."""
        self._reader, self._tick_skip = GameStates(arenas), arenas.tick_skip
        self.agents, self.slots = self._reader.agents, arenas.slots
        self._first = np.cumsum([0, *map(len, self.agents)]).tolist()
        self._controls = controls
        self.states: list[Any] = [None] * len(arenas)
        self.shared_info: list[dict[str, Any]] = [SharedInfo() for _ in self.agents]
        self._no = [dict.fromkeys(agents, False) for agents in self.agents]
        self._yes = [dict.fromkeys(agents, True) for agents in self.agents]
        self.terminated, self.truncated = [*self._no], [*self._no]
        self.fresh, self.behind, self.seconds, self.steps = set(range(len(arenas))), False, 0.0, 0
        self._parts = parts
        self._watching: list[Any] = [part for part in parts if hasattr(part, "look")]
        for part in parts:
            part.attach(self)

    def begin(self, state: State, steps: NDArray[np.int64]) -> None:
        """Begin the episodes of the arenas in `fresh`, which stand as they do in `state`. `steps` (N,) of each."""
        if not self.fresh:
            return
        start = time.perf_counter()
        states = self._reader.read(state, (steps * self._tick_skip).tolist())
        for n in self.fresh:
            self.states[n] = states[n]
            for part in self._parts:
                part.begin(n)
            for part in self._watching:
                part.look(n, True)
        self.fresh.clear()
        self.seconds += time.perf_counter() - start

    def advance(self, state: State, steps: NDArray[np.int64]) -> None:
        """Take the state after a step. `steps` (N,) of each episode."""
        start = time.perf_counter()
        self.states = self._reader.read(state, (steps * self._tick_skip).tolist())
        for part in self._watching:
            for n in range(len(self.states)):
                if n not in self.fresh:
                    part.look(n, False)
        self.seconds += time.perf_counter() - start
        self.steps, self.behind = self.steps + 1, False

    def take_back(self, n: int) -> None:
        """Arena n is again what it was before the last step."""
        for part in self._watching:
            part.take_back(n)

    def controls(self, n: int) -> NDArray[np.float32]:
        """(cars of arena n, tick_skip, 8): what they did in each tick of the last step."""
        last: NDArray[np.float32] = self._controls[self._first[n] : self._first[n + 1], None]
        return last.repeat(self._tick_skip, axis=1)

    def end(self, ended: NDArray[np.int64]) -> None:
        """Take how the step ended episodes (N,), as in BatchEnv."""
        self.terminated, self.truncated = [*self._no], [*self._no]
        for n in np.flatnonzero(ended).tolist():
            (self.terminated if ended[n] in TERMINAL else self.truncated)[n] = self._yes[n]


class _Part:
    """A part of RLGym's, of which every arena has an object."""

    def __init__(self, make: Callable[[], Any], label: str = "a part of RLGym's") -> None:
        """`make` is called once for each arena; a class without arguments, or functools.partial of one. `label`: what
        messages call it."""
        self._make, self._label = make, label
        self._game: Game | None = None

    def attach(self, game: Game) -> None:
        """Make the objects for the arenas of `game`. Raises ValueError if one cannot be made, and if this object
        already belongs to a batch."""
        if self._game is not None:
            raise ValueError(f"{self._label}: belongs to another batch of arenas; make one for each")
        self._game = game
        self._objects = [call(self._label, self._make) for _ in game.agents]

    def begin(self, n: int) -> None:
        """Tell the object of arena n that an episode begins."""
        game = self.game
        call(self._label, self._objects[n].reset, game.agents[n], game.states[n], game.shared_info[n])

    @property
    def game(self) -> Game:
        """The batch that it belongs to."""
        if self._game is None:
            raise ValueError(f"{self._label}: belongs to no batch of arenas")
        return self._game


class RLGymReward(_Part):
    """A reward function of RLGym's as the function of a term: Term("touch", 1.0, RLGymReward(TouchReward))."""

    def __call__(self, before: State, after: State) -> NDArray[np.float32]:
        """What each car earned in the last step, (N, P)."""
        game, start = self.game, time.perf_counter()
        earned = np.zeros(after.present.shape, np.float32)
        for n, part in enumerate(self._objects):
            if n in game.fresh:  # in mode NEXT_STEP: the step only reset this arena
                continue
            agents = game.agents[n]
            given = part.get_rewards(agents, game.states[n], game.terminated[n], game.truncated[n], game.shared_info[n])
            earned[n, game.slots[n]] = [given[agent] for agent in agents]
        game.seconds += time.perf_counter() - start
        return earned


class RLGymEnding(_Part):
    """A done condition of RLGym's as the function of an ending: OwnEnding(RLGymEnding(GoalCondition), "goal").

    An episode ends where it is done for any of the cars."""

    def __init__(
        self, make: Callable[[], Any], label: str = "a done condition of RLGym's", truncates: bool = False
    ) -> None:
        """`truncates`: the episode is truncated, not terminated. For the others see `RLGymReward`."""
        super().__init__(make, label)
        self._truncates = truncates

    def __call__(self, before: State, after: State, clocks: Clocks) -> tuple[Any, Any]:
        """Which episodes are terminated or truncated by the last step."""
        game, start = self.game, time.perf_counter()
        done = np.zeros(len(after), np.bool_)
        for n, part in enumerate(self._objects):
            if n not in game.fresh:
                given = part.is_done(game.agents[n], game.states[n], game.shared_info[n])
                done[n] = any(given[agent] for agent in game.agents[n])
        game.seconds += time.perf_counter() - start
        return (False, done) if self._truncates else (done, False)
