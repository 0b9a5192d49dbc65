"""The rules of an episode (time steps, limits, kinds of reset), checked in the same way as on the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, get_type_hints

from rlbot.env.own_reset import OwnReset
from rlbot.sim import MAX_TEAM
from rlbot.values.convert import Names, checked, delay_fault, share_fault
from rlbot.values.kinds import Natural, NonNegative, Positive, TickSkip

TICKS_PER_SECOND = 120
_ResetKind = Annotated[str, Names("rlbot.env.reset", "RESETS")]


@dataclass(frozen=True)
class Rules:
    """How time passes and when an episode ends. Limits are in seconds; None means no limit.

    A goal terminates an episode. `time_limit`, and `no_touch_limit` without a touch of the ball, truncate it. Raises
    ValueError if `tick_skip` is not a whole number from 1 to 120, `action_delay` is not below it, or a limit is not
    above 0.
    """

    tick_skip: TickSkip = 8
    action_delay: Natural = 0
    time_limit: Positive | None = 300.0
    no_touch_limit: Positive | None = 10.0

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self), include_extras=True)
        for each in fields(self):  # how a frozen dataclass sets its fields
            object.__setattr__(self, each.name, checked(kinds[each.name], getattr(self, each.name), each.name))
        if fault := delay_fault("", self.action_delay, self.tick_skip):
            raise ValueError(fault)

    @property
    def seconds_per_step(self) -> float:
        return self.tick_skip / TICKS_PER_SECOND


def checked_reset_mix(reset_mix: Mapping[str, float | OwnReset]) -> dict[str, float | OwnReset]:
    """The share of each kind of reset, and the user's own. Raises ValueError if a kind is unknown, a share is below 0
    or none is above 0."""
    own = {name: kind for name, kind in reset_mix.items() if isinstance(kind, OwnReset)}
    built_in = {name: share for name, share in reset_mix.items() if name not in own}
    shares: dict[str, float] = checked(dict[_ResetKind, NonNegative], built_in, "reset_mix")
    shares |= checked(dict[str, NonNegative], {name: kind.share for name, kind in own.items()}, "reset_mix")
    if fault := share_fault("reset_mix", shares):
        raise ValueError(fault)
    return {name: own.get(name, shares[name]) for name in reset_mix}  # in the order given


def checked_team_sizes(team_sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(blue, orange) of each arena. Raises ValueError if a size is not 0 to 3, an arena has no car, or there is no
    arena."""
    if len(team_sizes) == 0:
        raise ValueError("team_sizes=[]: needs at least one arena, such as (1, 1)")
    for n, sizes in enumerate(team_sizes):
        if len(sizes) != 2 or any(size not in range(MAX_TEAM + 1) for size in sizes) or sum(sizes) == 0:
            raise ValueError(
                f"team_sizes.{n}={tuple(sizes)}: must be (blue, orange), 0 to {MAX_TEAM} cars each, at least one"
            )
    return [(int(blue), int(orange)) for blue, orange in team_sizes]
