"""The settings of every command: their names, types and ranges. Values live in conf/ alone."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from rlbot.settings.forms import (
    AnchorConfig,
    ObservationChoice,
    OpponentConfig,
    PlayerConfig,
    Reset,
    RewardTerm,
    TrackerConfig,
    Until,
)
from rlbot.values.convert import Names, Range
from rlbot.values.kinds import Count, Fraction, Natural, NonNegative, Number, Positive, TeamSize, TickSkip
from rlbot.values.ramp import Ramp
from rlbot.values.target import Target

# No machine can run more than this: an error message is better than running out of memory.
Arenas = Annotated[int, Range(1, 100_000)]
Matches = Annotated[int, Range(1, 1_000_000)]
Processes = Annotated[int, Range(0, 1_024)]

# The allowed names are listed in the package that implements them.
ResetName = Annotated[str, Names("rlbot.env.reset", "RESETS", closed=False)]
Teams = Annotated[str, Names("rlbot.curriculum.stages", "TEAM_SIZES")]
BenchTeams = Annotated[str, Names("rlbot.bench.cases", "TEAMS")]
Activation = Annotated[str, Names("rlbot.model.activations", "ACTIVATIONS")]
ActionHead = Annotated[str, Names("rlbot.policy.heads", "HEADS")]
Engine = Literal["auto", "rocketsim2", "rocketsim3"]


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
    action_mask: bool


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
    sequence_length: Count
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
    team_size: TeamSize
    opponent_team_size: TeamSize | None
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
    controls: Literal["random", "to_ball"]
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
