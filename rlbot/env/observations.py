"""Which observation a policy is trained with: a built-in one or the user's own."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.env import observation as default
from rlbot.env import relative, six_cars
from rlbot.env.observation import LIMIT
from rlbot.env.rlgym import adapted
from rlbot.env.seeing import Cars
from rlbot.sim import MAX_TEAM, PAD_COOLDOWN, State
from rlbot.sim.state import TEAM_SLOTS
from rlbot.values.convert import checked
from rlbot.values.target import PartError, Target, call

if TYPE_CHECKING:
    from rlbot.env.rlgym.observations import RLGymObservation

_KEY = "env.observation"

Function = Callable[[State, Cars], Mapping[str, Any]]

Columns = tuple[tuple[str, int], ...]  # name and size of every part, in order


class _BuiltIn(NamedTuple):
    columns: Columns
    write: Callable[..., None]  # compiled
    largest_team: int = MAX_TEAM  # that it is for


_BUILT_IN = {
    "default": _BuiltIn(default.OBSERVATION, default.write, 2),
    "relative": _BuiltIn(relative.RELATIVE, relative.relative, 2),
    "small": _BuiltIn(relative.SMALL, relative.small),
    "six_cars": _BuiltIn(six_cars.SIX_CARS, six_cars.six_cars),
}
OBSERVATIONS = tuple(_BUILT_IN)


@dataclass(frozen=True)
class Observation:
    """A built-in observation by its `name`, or the user's own (`target`), which may be an observation builder of
    RLGym's. It can be pickled. `source`: the text of the file of `target`, if it is to be used in place of the file.
    `sizes`: the (blue, orange) cars of an arena of its training, in which the size of one of RLGym's is found."""

    name: str = "default"
    target: Target | None = None
    source: str | None = None
    sizes: tuple[int, int] = (1, 1)

    @property
    def label(self) -> str:
        """What messages call it."""
        return "env.observation" if self.target is None else f"env.observation ({self.target.name})"

    @cached_property
    def _function(self) -> Function:
        assert self.target is not None
        function: Function = self.target.load(_KEY, self.source)
        self._text  # noqa: B018 - read now: the file may change while a run trains with what was loaded
        return function

    @cached_property
    def _text(self) -> str | None:
        """The text of the user's file."""
        if self.source is not None or self.target is None or self.target.file is None:
            return self.source
        return self.target.file.expanduser().read_text(encoding="utf-8")

    @cached_property
    def is_rlgym(self) -> bool:
        """Whether it is an observation builder of RLGym's. Raises ValueError if the user's own cannot be loaded."""
        return self.target is not None and hasattr(adapted(self._function, _KEY), "look")

    def builder(self) -> "RLGymObservation":
        """A new builder for one batch of arenas, if `is_rlgym`."""
        made: RLGymObservation = adapted(self._function, _KEY)
        return made

    @cached_property
    def columns(self) -> Columns:
        """Name and size of every part, in order. Raises ValueError if the user's function cannot be loaded or used."""
        if self.target is None:
            return _BUILT_IN[self.name].columns
        if self.is_rlgym:
            return ((re.split(r"[.:]", self.target.name)[-1], self.builder().size(self.sizes)),)
        return self._own_columns(TEAM_SLOTS)

    @property
    def largest_team(self) -> int:
        """The most cars of a team in an arena that it is for."""
        return _BUILT_IN[self.name].largest_team if self.target is None else MAX_TEAM

    def require(self, team_slots: int, setting: str = "observation") -> None:
        """Raises ValueError, which names the `setting`, if it is not for a batch with so many slots a team."""
        if team_slots > self.largest_team:
            raise ValueError(
                f"{setting}={self.name}: is for teams of at most {self.largest_team} cars, six_cars for teams of three"
            )
        if self.target is None or self.is_rlgym or team_slots == TEAM_SLOTS:
            return
        if (other := self._own_columns(team_slots)) != self.columns:
            raise ValueError(
                f"{self.label} returns {_listed(self.columns)} for a state of {2 * TEAM_SLOTS} car slots, "
                f"{_listed(other)} for one of {2 * team_slots};\nits columns must not depend on the number of slots"
            )

    def _own_columns(self, team_slots: int) -> Columns:
        """The columns that the user's function returns for a state of zeros."""
        state = State(1, team_slots=team_slots)
        state.present[:] = 1
        none = np.zeros(1, np.int64)
        cars = Cars(none, none, np.zeros((1, 8), np.float32), np.ones(1, np.float32))
        with np.errstate(all="ignore"):  # nothing in this state is anywhere
            return tuple((name, part.shape[1]) for name, part in self._parts(state, cars).items())

    @cached_property
    def size(self) -> int:
        """Numbers that a car observes."""
        return sum(size for _, size in self.columns)

    def _parts(self, state: State, cars: Cars) -> dict[str, NDArray[Any]]:
        """What the function returns, every part as (K, its size). Raises PartError if it is anything else."""
        found = call(self.label, self._function, state.read_only(), cars)
        if not isinstance(found, Mapping) or not found:
            raise PartError(f"{self.label} returns {type(found).__name__}; it must be a dict of arrays by their names")
        return {str(name): self._part(str(name), values, len(cars.arena)) for name, values in found.items()}

    def _part(self, name: str, given: Any, count: int) -> NDArray[Any]:
        values = np.asarray(given)
        if values.dtype.kind not in "biuf" or values.ndim not in (1, 2) or len(values) != count or not values.size:
            raise PartError(
                f"{self.label} returns {name} as {values.dtype} of shape {values.shape}; "
                f"it must be numbers of shape (cars,) = ({count},), or (cars, columns)"
            )
        return values if values.ndim == 2 else values[:, None]

    def document(self) -> dict[str, Any]:
        """The form in which checkpoints hold it; with the text of the user's file."""
        if self.target is None:
            return {"name": self.name}
        sizes = {"sizes": list(self.sizes)} if self.is_rlgym else {}
        return {"target": self.target.document(), "source": self._text, **sizes}

    def __reduce__(self) -> tuple[Any, ...]:
        return Observation, (self.name, self.target, self.source, self.sizes)


DEFAULT, SIX_CARS = Observation(), Observation("six_cars")
AnyObservation = str | Mapping[str, Any] | Target | Observation


def chosen(given: AnyObservation, sizes: tuple[int, int]) -> Observation:
    """The observation that the argument `observation` of an environment says: the name of a built-in one, a Target or
    {_target_: ..., and arguments} for the user's own, or that of a bot. `sizes`: the (blue, orange) cars of its arenas.
    Raises ValueError if it is something else, or cannot be loaded or used."""
    if isinstance(given, Observation):
        return given
    if isinstance(given, str) and given in OBSERVATIONS:
        return Observation(given)
    if not isinstance(given, Target | Mapping):
        names = ", ".join(OBSERVATIONS)
        raise ValueError(
            f"observation={given!r}: must be one of {names}, a Target, or {{'_target_': 'file.py:function'}}"
        )
    target = given if isinstance(given, Target) else checked(Target, given, "observation")
    own = Observation("own", target, sizes=sizes)
    own.columns  # noqa: B018 - loads it now
    return own if own.is_rlgym else Observation("own", target)


def usual(team_slots: int) -> Observation:
    """The observation of a batch for which none was chosen."""
    return DEFAULT if team_slots <= DEFAULT.largest_team else SIX_CARS


def observe(
    observation: Observation,
    state: State,
    controls: NDArray[np.float32],
    car_arena: NDArray[np.int64],
    car_slot: NDArray[np.int64],
    which: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Write the observations of the cars `which` (indices into C) into their rows of `out` (C, size). The observation
    builders of RLGym's write their own.

    `controls` (C, 8) are those of the step that led to `state`; `car_arena` and `car_slot` (C,) are the arena and the
    slot of each car. Raises PartError if the user's function fails or returns other columns than before.
    """
    if observation.target is None:
        write = _BUILT_IN[observation.name].write
        write(state.arenas, state.cars, controls, car_arena, car_slot, PAD_COOLDOWN, which, out)
        return
    slot = car_slot[which]
    sign = np.where(slot < state.team_slots, 1, -1).astype(np.float32)
    parts = observation._parts(state, Cars(car_arena[which], slot, controls[which], sign))
    columns = tuple((name, part.shape[1]) for name, part in parts.items())
    if columns != observation.columns:
        raise PartError(f"{observation.label} returns {_listed(columns)}; before it was {_listed(observation.columns)}")
    with np.errstate(over="ignore"):  # too large for float32: becomes infinite
        out[which] = clipped(np.concatenate([part.astype(np.float32) for part in parts.values()], axis=1))


def clipped(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows` within the bounds of observations; what is not finite stays as it is."""
    return np.where(np.isfinite(rows), np.clip(rows, -LIMIT, LIMIT), rows)


def _listed(columns: Columns) -> str:
    return ", ".join(f"{name} ({size})" for name, size in columns)
