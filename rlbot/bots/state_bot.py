"""A player that acts from the state. It is made in the process that plays it, and what it returns is checked."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.bots.cars import Cars
from rlbot.env.action import NonFiniteControls, take_controls
from rlbot.sim import BLUE, TEAM_OF_SLOT, State
from rlbot.values.target import Target, call

Floats = NDArray[np.float32]

# Bots that are named by the path of their weights, such as nexto:PATH.
BUILT_IN = {"nexto": "rlbot.bots.Nexto", "necto": "rlbot.bots.Necto"}


class PlayerFault(ValueError):
    """A player cannot be made or does not play: one line that names the setting, the player and its function."""


@dataclass(eq=False)
class StateBot:
    """`target`: a class whose objects have `act(state, cars)`, or a function like that. `setting`: the
    setting that named it, for messages. A StateBot can be pickled, without the object, which is then made again."""

    name: str
    target: Target
    setting: str

    def __post_init__(self) -> None:
        self._act: Any = None
        self._label = f"{self.setting}: {self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return StateBot, (self.name, self.target, self.setting)

    def prepare(self) -> "StateBot":
        """Makes the player, unless that has been done. Raises PlayerFault if it cannot be made."""
        if self._act is None:
            try:
                made = self.target.load(self.setting)
                if inspect.isclass(getattr(made, "func", made)):
                    made = call(self._label, made)
                    if not callable(getattr(made, "act", None)):
                        raise ValueError(f"{self._label} has no function act(state, cars)")
                    made, self._label = made.act, f"{self._label}.act"
            except ValueError as error:
                raise PlayerFault(str(error)) from error
            self._act = made
        return self

    def act(self, state: State, cars: Cars) -> Floats:
        """Controls (K, 8) of K cars, clipped to [-1, 1]. Raises PlayerFault if the player raises anything, or gives
        another shape or numbers that are not finite."""
        self.prepare()
        controls = np.empty((len(cars), 8), np.float32)
        try:
            take_controls(call(self._label, self._act, state, cars), controls, "controls")
        except NonFiniteControls as error:
            slot = cars.slot[error.row]
            side = "blue" if TEAM_OF_SLOT[slot] == BLUE else "orange"
            raise PlayerFault(
                f"{self._label}: {error} ({side}, slot {slot} of arena {cars.arena[error.row]})"
            ) from error
        except ValueError as error:
            text = str(error)
            raise PlayerFault(text if text.startswith(self._label) else f"{self._label}: {text}") from error
        return controls


def is_state_bot(name: str) -> bool:
    """Whether a player is named by the path of its weights, such as nexto:PATH."""
    return name.partition(":")[0] in BUILT_IN and ":" in name


def by_name(name: str, setting: str) -> StateBot:
    """The player that is named by the path of its weights."""
    kind, _, path = name.partition(":")
    return StateBot(kind, Target(BUILT_IN[kind], {"weights": path}), setting)


def file_of(name: str) -> str:
    """The path in nexto:PATH."""
    return name.partition(":")[2]


def with_file(name: str, path: str) -> str:
    return f"{name.partition(':')[0]}:{path}"
