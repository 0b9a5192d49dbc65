"""Settings that can be written in more than one form: a name, a number, or a mapping with `_target_` for a part of the
user's own. Each reads itself (`parse`) and says how it is written (`document`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from rlbot.values.convert import Converter, Names
from rlbot.values.kinds import Count, NonNegative, Number
from rlbot.values.ramp import KEYS, Ramp
from rlbot.values.target import KEY, Target, is_file

ObservationName = Annotated[str, Names("rlbot.env.observations", "OBSERVATIONS")]
Skill = Annotated[str, Names("rlbot.curriculum.skill", "SKILLS")]


def _number_or_target(name: str, kind: Any, value: Any, key: str, converter: Converter) -> tuple[Any, Target | None]:
    """Reads a number, or {_target_: ..., `name`: number, and the arguments of the function}. `kind` may allow ramps."""
    if not isinstance(value, Mapping) or (value.keys() & KEYS and KEY not in value):
        return converter.convert(kind, value, key), None
    target = Target.parse(value, key, converter, others=(name,))
    if name not in value:
        converter.problems.append(f"{key}.{name}: is missing")
        return None, target
    return converter.convert(kind, value[name], f"{key}.{name}"), target


@dataclass(frozen=True)
class Reset:
    """A built-in kind of reset (`target` and `recordings` are None), the user's own, or one from the frames of
    recordings: the path of one, or of a folder of them."""

    share: float
    target: Target | None
    recordings: str | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "Reset | None":
        """Reads a share, {_target_: ..., share: ..., and the arguments of the function}, or {recordings: PATH,
        share: ...}."""
        if isinstance(value, Mapping) and "recordings" in value and KEY not in value:
            given = converter.convert(_Recordings, value, key)
            return cls(given.share, None, given.recordings)
        return cls(*_number_or_target("share", NonNegative, value, key, converter), None)

    def document(self) -> Any:
        """Returns the form that `parse` reads."""
        if self.recordings is not None:
            return {"recordings": self.recordings, "share": self.share}
        return self.share if self.target is None else {**self.target.document(), "share": self.share}


@dataclass(frozen=True)
class ObservationChoice:
    """The name of a built-in observation, or (`target`) the user's own."""

    name: str
    target: Target | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "ObservationChoice":
        """Reads a name, or {_target_: ..., and the arguments of the function}."""
        if isinstance(value, Mapping) or is_file(value):
            return cls("own", Target.parse(value, key, converter))
        return cls(converter.convert(ObservationName, value, key), None)

    def document(self) -> Any:
        """Returns the form that `parse` reads."""
        return self.name if self.target is None else self.target.document()


@dataclass(frozen=True)
class _Recordings:
    recordings: str
    share: NonNegative


@dataclass(frozen=True)
class RewardTerm:
    """A built-in term (`target` is None) or the user's own."""

    weight: float | Ramp
    target: Target | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "RewardTerm":
        """Reads a weight, or {_target_: ..., weight: ..., and the arguments of the function}. A weight may be a
        ramp."""
        return cls(*_number_or_target("weight", Number | Ramp, value, key, converter))

    def document(self) -> Any:
        """Returns the form that `parse` reads."""
        weight = self.weight.document() if isinstance(self.weight, Ramp) else self.weight
        return weight if self.target is None else {**self.target.document(), "weight": weight}


@dataclass(frozen=True)
class PlayerConfig:
    """Who plays: "random", "idle", nexto:PATH, necto:PATH, the path of a run or checkpoint; or, with a `target`, a
    player of the user's own, and the name of its class or function."""

    name: str
    target: Target | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "PlayerConfig":
        """Reads a name, or {_target_: ..., and the arguments of the class or function}."""
        if not isinstance(value, Mapping):
            return cls(converter.convert(str, value, key), None)
        target = Target.parse(value, key, converter)
        return cls(_last_part(target), target)

    def document(self) -> Any:
        """Returns the form that `parse` reads."""
        return self.name if self.target is None else self.target.document()


def _last_part(target: Target | None) -> str:
    return "" if target is None else re.split(r"[.:]", target.name)[-1]


@dataclass(frozen=True)
class OpponentConfig:
    """The share of each opponent: "self", "past", "random", "idle", nexto:PATH, necto:PATH, the path of a run or
    checkpoint, or a name in `targets`: a player of the user's own."""

    shares: dict[str, float]
    targets: dict[str, Target]

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "OpponentConfig":
        """Reads one name, {_target_: ..., and arguments}, or {name: share, or {_target_: ..., share: ...}}."""
        if not isinstance(value, Mapping):
            return cls({converter.convert(str, value, key): 1.0}, {})
        if KEY in value:
            target = Target.parse(value, key, converter)
            return cls({_last_part(target): 1.0}, {_last_part(target): target} if target else {})
        found = {
            str(name): _number_or_target("share", NonNegative, share, f"{key}.{name}", converter)
            for name, share in value.items()
        }
        targets = {name: target for name, (_, target) in found.items() if target is not None}
        return cls({name: share for name, (share, _) in found.items()}, targets)

    def document(self) -> dict[str, Any]:
        """Returns a form that `parse` reads."""
        own = {name: {**target.document(), "share": self.shares[name]} for name, target in self.targets.items()}
        return {**self.shares, **own}


@dataclass(frozen=True)
class Until:
    """The end of a stage by skill: all of `skills`, or at the latest at `timesteps` (None: however long it takes)."""

    skills: dict[Skill, Number]
    timesteps: Count | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "Until | int":
        """Reads timesteps, or {a skill: the least value, ..., timesteps: the latest}."""
        if not isinstance(value, Mapping):
            timesteps: int = converter.convert(Count, value, key)
            return timesteps
        skills = {name: least for name, least in value.items() if name != "timesteps"}
        if not skills:
            converter.fault(key, dict(value), "needs a skill, such as {touches_per_minute: 8}")
        latest = converter.convert(Count | None, value.get("timesteps"), f"{key}.timesteps")
        return cls(converter.convert(dict[Skill, Number], skills, key), latest)

    def document(self) -> dict[str, float | None]:
        """Returns the form that `parse` reads."""
        return {**self.skills, "timesteps": self.timesteps}


@dataclass(frozen=True)
class AnchorConfig:
    """A player that all versions are rated against. `rating`: its constant rating; None: it is fitted."""

    player: PlayerConfig
    rating: float | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "AnchorConfig":
        """Reads a name, or {_target_: ..., rating: number, and the arguments of the class or function}."""
        rating = value.get("rating") if isinstance(value, Mapping) else None
        player = {name: each for name, each in value.items() if name != "rating"} if rating is not None else value
        return cls(
            PlayerConfig.parse(player, key, converter), converter.convert(Number | None, rating, f"{key}.rating")
        )

    def document(self) -> Any:
        """Returns the form that `parse` reads."""
        player = self.player.document()
        return player if self.rating is None else {**player, "rating": self.rating}


@dataclass(frozen=True)
class TrackerConfig:
    """What records the curves: a built-in tracker (`target` is None), or the user's own."""

    name: str  # for one of the user's own that of its function or class
    target: Target | None

    @classmethod
    def parse(cls, value: Any, key: str, converter: Converter) -> "TrackerConfig":
        """Reads a name, or {_target_: ..., and the arguments of the class or function}."""
        if not isinstance(value, Mapping):
            return cls(converter.convert(Literal["tensorboard", "csv", "wandb"], value, key), None)
        target = Target.parse(value, key, converter)
        return cls(target.name if target is not None else "", target)

    def document(self) -> Any:
        """Returns the form that `parse` reads."""
        return self.name if self.target is None else self.target.document()
