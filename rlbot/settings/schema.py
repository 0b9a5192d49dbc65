"""The settings of every command: their names, types and ranges. Values live in conf/ alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from rlbot.values.convert import Converter, Names, Range
from rlbot.values.kinds import Count, Fraction, Natural, NonNegative, Number, Positive, TeamSize, TickSkip
from rlbot.values.ramp import KEYS, Ramp
from rlbot.values.target import KEY, Target

# No machine can run more than this: an error message is better than running out of memory.
Arenas = Annotated[int, Range(1, 100_000)]
Matches = Annotated[int, Range(1, 1_000_000)]
Processes = Annotated[int, Range(0, 1_024)]

# The allowed names are listed in the package that implements them.
ResetName = Annotated[str, Names("rlbot.env.reset", "RESETS", closed=False)]
ObservationName = Annotated[str, Names("rlbot.env.observations", "OBSERVATIONS")]
Teams = Annotated[str, Names("rlbot.curriculum.stages", "TEAM_SIZES")]
BenchTeams = Annotated[str, Names("rlbot.bench.cases", "TEAMS")]
Skill = Annotated[str, Names("rlbot.curriculum.skill", "SKILLS")]
Activation = Annotated[str, Names("rlbot.model.activations", "ACTIVATIONS")]
ActionHead = Annotated[str, Names("rlbot.policy.heads", "HEADS")]
Engine = Literal["auto", "rocketsim2", "rocketsim3"]


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
        if isinstance(value, Mapping):
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
class EnvConfig:
    num_envs: Arenas
    workers: Processes | None
    tick_skip: TickSkip
    action_delay: Natural
    time_limit: Positive | None
    no_touch_limit: Positive | None
    engine: Engine
    collision_meshes: str | None
    reset: dict[ResetName, Reset]
    ending: dict[str, Target]
    observation: ObservationChoice
    actions: Target | None


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
class RewardConfig:
    terms: dict[str, RewardTerm]
    clip: Positive
    zero_sum: tuple[str, ...]
    team_spirit: Fraction


@dataclass(frozen=True)
class ModelConfig:
    hidden: tuple[Annotated[int, Range(1, 16_384)], ...]
    layer_norm: bool
    activation: Activation
    shared_trunk: bool
    action_head: ActionHead
    network: Target | None


@dataclass(frozen=True)
class LearnerConfig:
    batch_size: Annotated[int, Range(1, 100_000_000)]
    minibatch_size: Count
    epochs: Count
    learning_rate: Positive | Ramp
    anneal_learning_rate: bool
    anneal_from: Natural
    anneal_to: Fraction
    gamma: Annotated[float, Range(0, 1, above=True)]
    gae_lambda: Fraction
    clip_range: Positive | Ramp
    clip_range_value: Positive | None
    entropy_coef: NonNegative | Ramp
    value_coef: NonNegative
    max_grad_norm: Positive
    target_kl: Positive | None
    max_bad_updates: Count
    normalize_advantage: bool
    normalize_return: bool
    overlap: bool | None


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
class StageConfig:
    until: Until | int | None
    teams: dict[Teams, NonNegative]
    opponent: OpponentConfig
    reward: dict[str, Number | Ramp]
    reset: dict[ResetName, Reset]

    @property
    def latest(self) -> int | None:
        """The timestep at which the stage ends at the latest."""
        return self.until.timesteps if isinstance(self.until, Until) else self.until

    @property
    def skills(self) -> dict[str, float]:
        """The skills at which it ends before."""
        return self.until.skills if isinstance(self.until, Until) else {}


@dataclass(frozen=True)
class CurriculumConfig:
    pool_size: Annotated[int, Range(2, 1000)]
    draw: Literal["uniform", "recent", "prioritised"]
    stages: dict[str, StageConfig]  # by name, in the order in which they are trained


@dataclass(frozen=True)
class HardwareConfig:
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "tf32", "fp16", "bf16"]
    acting: Literal["auto", "workers", "learner"]
    threads: Annotated[int, Range(1, 1_024)] | None
    time_limit: Positive | None
    distributed: bool


@dataclass(frozen=True)
class NotifyConfig:
    enabled: bool
    url_env: str
    events: tuple[Literal["start", "checkpoint", "end", "failure"], ...]


@dataclass(frozen=True)
class UserConfig:
    name: str
    notify: NotifyConfig


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
class RatingConfig:
    enabled: bool
    matches: Matches
    opponents: Natural
    anchors: tuple[AnchorConfig, ...]
    match_seconds: Positive


@dataclass(frozen=True)
class RecordingConfig:
    interval: Count | None
    matches: Count


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


@dataclass(frozen=True)
class TrainConfig:
    total_timesteps: Count
    seed: Annotated[int, Range(0, 2**31 - 1)]
    resume: str | None
    debug: bool
    checkpoint_interval: Count
    keep_best: Natural
    log_interval: NonNegative
    objective: Literal["reward", "rating", "touches", "goals"]
    tracker: tuple[TrackerConfig, ...]
    callback: dict[str, Target]
    rating: RatingConfig
    recording: RecordingConfig
    env: EnvConfig
    reward: RewardConfig
    model: ModelConfig
    learner: LearnerConfig
    curriculum: CurriculumConfig
    hardware: HardwareConfig
    user: UserConfig


@dataclass(frozen=True)
class EvaluateConfig:
    checkpoint: PlayerConfig
    opponent: PlayerConfig
    team_size: TeamSize
    opponent_team_size: TeamSize | None
    matches: Matches
    record: Natural
    match_seconds: Positive
    deterministic: bool
    tournament: bool
    others: tuple[PlayerConfig, ...]
    max_matches: Matches
    seed: Annotated[int, Range(0, 2**31 - 1)]
    workers: Processes | None
    engine: Engine
    collision_meshes: str | None
    debug: bool


@dataclass(frozen=True)
class WatchSettings:
    host: str
    port: Annotated[int, Range(0, 65_535)]
    browser: bool
    stream: Literal["rocketsimvis"] | None


@dataclass(frozen=True)
class WatchConfig:
    checkpoint: PlayerConfig | None
    opponent: PlayerConfig | None
    team_size: Annotated[int, Range(1, 2)]
    opponent_team_size: Annotated[int, Range(1, 2)] | None
    deterministic: bool
    seed: Annotated[int, Range(0, 2**31 - 1)]
    run: str | None
    recording: str | None
    export: str | None
    watch: WatchSettings
    collision_meshes: str | None
    debug: bool


@dataclass(frozen=True)
class BenchSettings:
    rounds: Count
    seconds: Positive
    teams: tuple[BenchTeams, ...]
    num_envs: tuple[Arenas, ...]
    workers: tuple[Processes, ...]
    both_engines: bool
    peer: Literal["rlgym", "rlgym_learn"] | None
    profile: bool


@dataclass(frozen=True)
class BenchConfig(TrainConfig):
    bench: BenchSettings


@dataclass(frozen=True)
class LearncheckSettings:
    name: str | None
    seeds: tuple[Annotated[int, Range(0, 2**31 - 1)], ...]
    parallel: Count | None
    interval: Count
    teams: tuple[Teams, ...]
    matches: Count
    match_seconds: Positive
    of: tuple[str, ...]
    compare: tuple[str, ...]


@dataclass(frozen=True)
class LearncheckConfig(TrainConfig):
    learncheck: LearncheckSettings


@dataclass(frozen=True)
class ExportConfig:
    checkpoint: str
    format: Literal["rlbot", "rlgym", "onnx", "torchscript"]
    out: str | None
    name: str | None
    developer: str | None
    deterministic: bool
    collision_meshes: str | None
    debug: bool


# The type of each command's settings, by the name of its root file in conf/.
ROOTS: dict[str, Any] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "watch": WatchConfig,
    "bench": BenchConfig,
    "learncheck": LearncheckConfig,
    "export": ExportConfig,
}
Root = TypeVar("Root", TrainConfig, EvaluateConfig, BenchConfig, LearncheckConfig, ExportConfig, WatchConfig)
