"""RLGym's observation builders: what a car sees, built for every arena by an object of its own."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env.observations import clipped
from rlbot.env.rlgym.game import Game, SharedInfo, _Part
from rlbot.env.rlgym.states import kickoff, seeded
from rlbot.values.target import PartError, call

_HISTORY = "action_history"  # where ActionHistoryWrapper of rlgym-tools writes the controls of the last ticks


class RLGymObservation(_Part):
    """An observation builder of one batch. `shared_info` of an arena has what its provider says, and
    `action_history`: of each agent the controls of every tick of the last step, (tick_skip, 8)."""

    def __init__(
        self, make: Callable[[], Any], label: str = "an RLGym observation", provide: Callable[[], Any] | None = None
    ) -> None:
        """`provide`: makes a shared info provider, for each arena; for the others see `RLGymReward`."""
        super().__init__(make, label)
        self._provide = provide

    def size(self, sizes: tuple[int, int]) -> int:
        """The numbers that a car of (blue, orange) observes, from an object that sees a kickoff. Raises PartError if
        that fails, or the cars see different numbers of them."""
        with seeded(np.random.default_rng(0)):
            state, shared = kickoff(sizes), SharedInfo()
            agents, builder = list(state.cars), call(self._label, self._make)
            if self._provide is not None:
                shared = call(self._label, _begun, call(self._label, self._provide), agents, state, shared)
            shared[_HISTORY] = {agent: np.zeros((8, 8), np.float32) for agent in agents}
            call(self._label, builder.reset, agents, state, shared)
            return self._built(builder, agents, state, shared).shape[1]

    def attach(self, game: Game) -> None:
        super().attach(game)
        provide = self._provide
        self._providers = None if provide is None else [call(self._label, provide) for _ in game.agents]
        self._seen = [np.zeros((0, 0), np.float32) for _ in game.agents]  # by each arena's cars: (cars, size)
        self._before = [*self._seen]

    def begin(self, n: int) -> None:
        game = self.game
        if self._providers is not None:
            arguments = game.agents[n], game.states[n], game.shared_info[n]
            game.shared_info[n] = call(self._label, _begun, self._providers[n], *arguments)
        self._remember_controls(n)
        super().begin(n)

    def look(self, n: int, first: bool) -> None:
        """Build what the cars of arena n see now; `first`: at the start of an episode."""
        game = self.game
        if not first:
            if self._providers is not None:
                arguments = game.agents[n], game.states[n], game.shared_info[n]
                game.shared_info[n] = call(self._label, self._providers[n].step, *arguments)
            self._remember_controls(n)
        self._before[n] = self._seen[n]
        arguments = game.agents[n], game.states[n], game.shared_info[n]
        self._seen[n] = self._built(self._objects[n], *arguments)

    def take_back(self, n: int) -> None:
        """Arena n is again what it was before the last step."""
        self._seen[n] = self._before[n]

    def write(self, which: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Write what the cars `which` (indices into C) see into their rows of `out` (C, size). Raises PartError if
        the builder gives cars another number of numbers."""
        sizes = {seen.shape[1] for seen in self._seen}
        if sizes != {out.shape[1]}:
            found = " or ".join(map(str, sorted(sizes)))
            raise PartError(
                f"{self._label} builds observations of {found} numbers, where it must be {out.shape[1]}: their size "
                "must not depend on the number of cars (DefaultObs: give it zero_padding)"
            )
        out[which] = clipped(np.concatenate(self._seen)[which])

    def _remember_controls(self, n: int) -> None:
        game = self.game
        game.shared_info[n][_HISTORY] = dict(zip(game.agents[n], game.controls(n), strict=True))

    def _built(self, builder: Any, agents: Any, state: Any, shared_info: Any) -> NDArray[np.float32]:
        """What each agent sees (cars, size), in the order of `agents`."""
        given = call(self._label, _in_order, builder, agents, state, shared_info)
        try:
            with np.errstate(over="ignore"):  # too large for float32: becomes infinite
                rows = np.array(given, np.float32)
        except (TypeError, ValueError):
            rows = np.zeros(0, np.float32)
        if rows.ndim != 2:
            found = " and ".join(sorted({str(np.shape(row)) for row in given}))
            raise PartError(
                f"{self._label} builds observations of shape {found}; it must be (size,), alike for all cars"
            )
        return rows


def _begun(provider: Any, agents: Any, state: Any, shared_info: Any) -> Any:
    """`shared_info` at the start of an episode, in RLGym's order."""
    return provider.set_state(agents, state, provider.create(shared_info))


def _in_order(builder: Any, agents: Any, state: Any, shared_info: Any) -> list[Any]:
    given = builder.build_obs(agents, state, shared_info)
    return [given[agent] for agent in agents]
