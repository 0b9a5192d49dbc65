"""Weigh the terms, apply the zero-sum and team-spirit transforms, and keep a total for every term."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rlbot.reward import terms
from rlbot.values.convert import checked, no_such_name
from rlbot.values.kinds import Fraction, Number, Positive
from rlbot.values.target import PartError, call

# (state before, state after) -> what each car earned (N, P); rlbot.sim.State lists the fields of a state.
Function = Callable[[Any, Any], NDArray[np.float32]]


@dataclass(frozen=True)
class Term:
    """A weighted term: a built-in one by its name (`function` is None), or a user's function of (before, after)."""

    name: str
    weight: float
    function: Function | None = None
    source: str | None = None  # where the function comes from, for messages


@njit(cache=True)
def _combine(  # type: ignore[no-untyped-def]
    raw, weights, zero_sum, team_spirit, clip, car_arena, car_slot, cars, before, after, out
):
    """Set out[c] to the clipped sum of the transformed terms. Add the weighted terms to `before` (C, K), and the
    transformed ones to `after` (C, K)."""
    half = cars.shape[1] // 2
    for c in range(len(car_arena)):
        n, slot = car_arena[c], car_slot[c]
        mine_at, theirs_at = (0, half) if slot < half else (half, 0)  # the first slots of both teams
        team = 0.0
        if team_spirit > 0:
            for i in range(mine_at, mine_at + half):
                team += cars[n, i].present > 0
        total = 0.0
        for k in range(len(weights)):
            earned = raw[k, n, slot] * weights[k]
            mine = earned
            if team_spirit > 0:
                for i in range(mine_at, mine_at + half):
                    if i != slot and cars[n, i].present > 0:
                        mine += team_spirit * (1.0 / team) * (raw[k, n, i] * weights[k] - earned)
            if zero_sum[k]:
                theirs, rivals = 0.0, 0
                for i in range(theirs_at, theirs_at + half):
                    if cars[n, i].present > 0:
                        theirs += raw[k, n, i]
                        rivals += 1
                if rivals > 0:
                    mine -= theirs / rivals * weights[k]
            before[c, k] += earned
            after[c, k] += mine
            total += mine
        out[c] = min(max(total, -clip), clip)


class Reward:
    """The reward of every car: the sum of weight x term after the transforms, clipped to [-clip, clip].

    zero_sum: from such a term, the mean of what the opponents earned by it is subtracted. team_spirit s in [0, 1]: a
    car gets 1 - s of its own reward plus s of its team's mean (OpenAI Five, arXiv:1912.06680, appendix G).
    """

    def __init__(
        self, items: Sequence[Term], zero_sum: Sequence[str] = (), team_spirit: float = 0.0, clip: float = 10.0
    ) -> None:
        """`zero_sum`: names of terms. Raises ValueError if a weight is not finite, `clip` is not above 0, `team_spirit`
        is outside [0, 1], or a name is not a term's."""
        self._items = tuple(items)
        known = [*terms.TERMS, *(term.name for term in items)]
        for name in zero_sum:
            if name not in known:
                raise ValueError(no_such_name(f"reward.zero_sum.{name}", name, known))
        self._zero_sum_names = tuple(zero_sum)
        self._team_spirit = float(checked(Fraction, team_spirit, "reward.team_spirit"))
        self._clip = float(checked(Positive, clip, "reward.clip"))
        self.weigh({})

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Gives terms other weights, from the next `earn` on; the others get those that they were made with. A term of
        weight 0 is not computed, and not among `names`. Raises ValueError if a weight is not finite."""
        items = with_weights(self._items, weights)
        for term in items:
            checked(Number, term.weight, f"reward.terms.{term.name}")
        active = [term for term in items if term.weight != 0]
        self.names = [term.name for term in active]
        self.labels = [f"reward.terms.{t.name}" + (f" ({t.source})" if t.source else "") for t in active]
        self._weights = np.array([term.weight for term in active], np.float64)
        self._zero_sum = np.array([name in self._zero_sum_names for name in self.names], np.bool_)
        built_in = [k for k, term in enumerate(active) if term.function is None]
        self._rows = np.array(built_in, np.int64)
        self._which = terms.indices([self.names[k] for k in built_in])
        self._own = [(k, term.function) for k, term in enumerate(active) if term.function is not None]
        self._raw = np.zeros((len(active), 0, 0), np.float32)

    def earn(self, before: Any, after: Any) -> NDArray[np.float32]:
        """What each car earned by each term in the step from `before` to `after` (rlbot.sim.State), before weights:
        (K, N, P). The array is valid until the next call. It may hold numbers that are not finite.

        Raises PartError if a user's term raises an exception, changes the state, or returns another shape than (N, P)
        or anything else than numbers.
        """
        shape = after.cars.shape
        if self._raw.shape[1:] != shape:
            self._raw = np.zeros((len(self.names), *shape), np.float32)
        if len(self._which):
            terms.evaluate(before.arenas, after.arenas, before.cars, after.cars, self._which, self._rows, self._raw)
        for k, function in self._own:  # a user's function gets read-only states
            self._raw[k] = self._own_term(self.names[k], function, before.read_only(), after.read_only())
        return self._raw

    def pay(
        self,
        earned: NDArray[np.float32],
        after: Any,
        car_arena: NDArray[np.int64],
        car_slot: NDArray[np.int64],
        term_totals: "TermTotals",
        out: NDArray[np.float32],
    ) -> None:
        """Write the rewards (C,) into `out`; `earned` is what `earn` returned, all finite. Add to `term_totals`."""
        _combine(
            earned, self._weights, self._zero_sum, self._team_spirit, self._clip, car_arena, car_slot, after.cars,
            term_totals.before, term_totals.after, out,
        )  # fmt: skip

    @property
    def functions(self) -> list[Function]:
        """The functions of all terms of the user's own, those of weight 0 too."""
        return [term.function for term in self._items if term.function is not None]

    def own_terms(self) -> list[tuple[str, Function]]:
        """(label for messages, function) of each of the user's terms that are functions of the two states alone, which
        RLGym's are not; the function raises the errors of `earn`."""

        def checked(name: str, function: Function) -> Function:
            return lambda before, after: self._own_term(name, function, before.read_only(), after.read_only())

        pure = [(k, function) for k, function in self._own if not hasattr(function, "attach")]
        return [(self.labels[k], checked(self.names[k], function)) for k, function in pure]

    def is_transformed(self, k: int) -> bool:
        """Whether a transform changes term k."""
        return bool(self._zero_sum[k]) or self._team_spirit > 0

    @staticmethod
    def _own_term(name: str, function: Function, before: Any, after: Any) -> NDArray[np.float32]:
        present = after.present
        label = f"reward.terms.{name}"
        values = call(label, np.asarray, call(label, function, before, after))  # NumPy refuses rows of unlike lengths
        if values.dtype.kind not in "biuf":
            raise PartError(f"{label} returns {values.dtype}; it must be an array of numbers")
        if values.shape != present.shape:
            raise PartError(
                f"{label} returns an array of shape {values.shape}; it must be (arenas, cars) = {present.shape}"
            )
        with np.errstate(over="ignore"):  # too large for float32: becomes infinite
            return np.where(present > 0, values.astype(np.float32), np.float32(0))


class TermTotals:
    """What every car earned by every term since the last `clear()`, with weights: before and after the transforms,
    each (C, K)."""

    def __init__(self, num_cars: int, num_terms: int) -> None:
        self.before = np.zeros((num_cars, num_terms), np.float64)
        self.after = np.zeros((num_cars, num_terms), np.float64)

    def clear(self) -> None:
        self.before[:] = 0
        self.after[:] = 0


def with_weights(items: Sequence[Term], weights: Mapping[str, float]) -> list[Term]:
    """A copy of `items` with the given weights; names that are not in `items` are added as built-in terms."""
    changed = [replace(t, weight=weights.get(t.name, t.weight)) for t in items]
    known = {term.name for term in items}
    return changed + [Term(name, weight) for name, weight in weights.items() if name not in known]
