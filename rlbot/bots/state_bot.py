"""A player that acts from the state. It is made in the process that plays it, and what it returns is checked."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.bots.cars import Cars
from rlbot.bots.timing import PERIOD
from rlbot.env.action import NonFiniteControls, take_controls
from rlbot.sim import BLUE, State
from rlbot.values.player_names import BUILT_IN, weights_of
from rlbot.values.target import PartError, Target, call

Floats = NDArray[np.float32]


@dataclass(eq=False)
class StateBot:
    """`target`: a class whose objects have `act(state, cars)`, or a function like that. `setting`: the
    setting that named it, for messages. A StateBot can be pickled, without the object, which is then made again."""

    name: str
    target: Target
    setting: str

    def __post_init__(self) -> None:
        self._act: Any = None
        self._reset: Any = None
        self._label = f"{self.setting}: {self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return StateBot, (self.name, self.target, self.setting)

    def prepare(self) -> "StateBot":
        """Makes the player, unless that has been done. Raises PartError if it cannot be made."""
        if self._act is None:
            try:
                made = self.target.load(self.setting)
                if inspect.isclass(getattr(made, "func", made)):
                    made = self._make(made)
                    if not callable(getattr(made, "act", None)):
                        raise ValueError(f"{self._label} has no function act(state, cars)")
                    self._reset = getattr(made, "reset", None)
                    made, self._label = made.act, f"{self._label}.act"
            except ValueError as error:
                raise PartError(str(error)) from error
            self._act = made
        return self

    def reset(self) -> None:
        """Lets the player forget what it remembers, if it has a function `reset()`. Raises PartError if that raises
        anything."""
        self.prepare()
        if callable(self._reset):
            call(f"{self.setting}: {self.name}.reset", self._reset)

    def _make(self, made: Any) -> Any:
        if self.target.name not in BUILT_IN.values():
            return call(self._label, made)
        try:
            return made()
        except (ValueError, TypeError) as error:  # says enough, without a line of this package
            raise ValueError(f"{self._label}: {error}") from error

    def act(self, state: State, cars: Cars) -> Floats:
        """Controls (K, 8) of K cars, clipped to [-1, 1]. Raises PartError if the player raises anything, or gives
        another shape or numbers that are not finite."""
        self.prepare()
        controls = np.empty((len(cars), 8), np.float32)
        try:
            take_controls(call(self._label, self._act, state, cars), controls, "controls")
        except NonFiniteControls as error:
            slot = cars.slot[error.row]
            side = "blue" if cars.team[error.row] == BLUE else "orange"
            raise PartError(f"{self._label}: {error} ({side}, slot {slot} of arena {cars.arena[error.row]})") from error
        except ValueError as error:
            text = str(error)
            raise PartError(text if text.startswith(self._label) else f"{self._label}: {text}") from error
        return controls


def pace_note(player: StateBot, tick_skip: int) -> str | None:
    """Returns what is to be said of a built-in player at this tick_skip; None if it decides at its own pace."""
    if player.target.name not in BUILT_IN.values() or PERIOD % tick_skip == 0:
        return None
    rarer = f"every {tick_skip} ticks" if tick_skip > PERIOD else "at uneven intervals"
    return f"{player.name} was trained to decide every {PERIOD} ticks; with tick_skip={tick_skip} it decides {rarer}"


def by_name(name: str, setting: str) -> StateBot:
    """Returns the player nexto:PATH or necto:PATH."""
    kind = name.partition(":")[0]
    return StateBot(kind, Target(BUILT_IN[kind], {"weights": weights_of(name)}), setting)
