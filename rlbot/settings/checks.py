"""Checks of settings that one value alone cannot fail: combinations of values, paths, and names."""

import importlib.util
import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from rlbot.settings.forms import OpponentConfig, PlayerConfig, Reset
from rlbot.settings.names import built_in_resets, built_in_terms, largest_team, unknown_name
from rlbot.settings.schema import (
    BenchConfig,
    EvaluateConfig,
    ExportConfig,
    LearncheckConfig,
    StageConfig,
    TrainConfig,
    WatchConfig,
)
from rlbot.values.convert import delay_fault, no_such_name, share_fault, shown
from rlbot.values.player_names import weights_of
from rlbot.values.target import Target

EXPORTS = (".html", ".gif", ".mp4")
NAME = re.compile(r"[A-Za-z0-9 _.+-]{1,31}")  # the name of an exported bot, as the game shows it
DEVELOPER = re.compile(r"[^\"\\]{1,60}")  # can be written into a TOML file without escapes
MAX_WEIGHTS = 100_000_000  # in one network: 0.4 GB, and three times that to train it
MAX_POOL = 4_000_000_000  # weights of all versions in the pool together: 16 GB


def check(config: TrainConfig | EvaluateConfig | ExportConfig | WatchConfig) -> Iterator[str]:
    """Yields a line for every problem: which setting, its value, and what to do."""
    if isinstance(config, TrainConfig):
        yield from _check_training(config)
    elif isinstance(config, EvaluateConfig):
        yield from _check_evaluation(config)
    elif isinstance(config, WatchConfig):
        yield from _check_watching(config)
    else:
        yield from _check_export(config)


def _check_evaluation(config: EvaluateConfig) -> Iterator[str]:
    first = config.checkpoint
    if config.tournament and (first.target is not None or weights_of(first.name) is not None):
        yield f"checkpoint={first.name}: a tournament rates the versions of a run; name this player in others"
    else:
        yield from _check_player("checkpoint", first)
    yield from _check_player("opponent", config.opponent, ("random", "idle"))
    for i, other in enumerate(config.others):
        yield from _check_player(f"others.{i}", other)
    if config.record > config.matches:
        yield f"record={config.record}: must be at most matches={config.matches}"
    if config.others and not config.tournament:
        names = shown([other.name for other in config.others])
        yield f"others={names}: only a tournament has others; add tournament=true"
    yield from _check_meshes("collision_meshes", config.collision_meshes)


def _check_export(config: ExportConfig) -> Iterator[str]:
    yield from _check_path("checkpoint", config.checkpoint)
    if config.name is not None and not (NAME.fullmatch(config.name) and config.name == config.name.strip()):
        yield f"name={shown(config.name)}: must be 1 to 31 letters, digits, spaces or any of _ . + -"
    if config.developer is not None and not DEVELOPER.fullmatch(config.developer):
        yield f"developer={shown(config.developer)}: must be up to 60 characters, without quotes and backslashes"
    if config.out is not None and not _is_free(config.out):
        yield f"out={shown(config.out)}: must be the path of a folder that is empty or not there yet"
    yield from _check_meshes("collision_meshes", config.collision_meshes)


def _is_free(path: str) -> bool:
    """Whether a folder can be written to this path without overwriting anything."""
    try:
        folder = Path(path).expanduser()
        return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except (OSError, RuntimeError):
        return False


def _check_watching(config: WatchConfig) -> Iterator[str]:
    named = [key for key in ("checkpoint", "run", "recording") if getattr(config, key) is not None]
    if len(named) > 1:
        yield f"{named[1]}={getattr(config, named[1])}: cannot be shown together with {named[0]}; name one of them"
    for key in ("checkpoint", "opponent"):
        yield from _check_player(key, getattr(config, key), ("random", "idle"))
    yield from _check_path("run", config.run)
    if config.recording is not None and not _is_file(config.recording):
        yield f"recording={shown(config.recording)}: no such file; rlbot.evaluate record=3 writes some"
    if config.export is not None and config.recording is None:
        yield f"export={shown(config.export)}: needs the match to write, recording=FILE"
    if config.export is not None and Path(config.export).suffix.lower() not in EXPORTS:
        yield f"export={shown(config.export)}: the name must end with one of {', '.join(EXPORTS)}"
    try:
        ipaddress.ip_address(config.watch.host)
    except ValueError:
        yield f"watch.host={shown(config.watch.host)}: must be an address of this machine, such as 127.0.0.1 or 0.0.0.0"
    yield from _check_meshes("collision_meshes", config.collision_meshes)


def _is_file(path: str) -> bool:
    try:
        return Path(path).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _check_player(key: str, player: PlayerConfig | None, others: Collection[str] = ()) -> Iterator[str]:
    """`others`: names that are allowed besides the paths of bots."""
    if player is None or player.target is not None or player.name in others:
        return
    file = weights_of(player.name)
    if file is None:
        yield from _check_path(key, player.name)
    elif not _is_file(file):
        yield f"{key}={player.name}: there is no file {file}"


def _check_path(key: str, path: str | None) -> Iterator[str]:
    if path not in (None, "latest") and not exists(str(path)):
        yield f"{key}={path}: no such folder; name a run, a checkpoint, or latest"


def exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError):  # the path is too long, or it names the home of an unknown user
        return False


def _check_meshes(key: str, path: str | None) -> Iterator[str]:
    if path is not None and not (_holds_meshes(path, "*.cmf") or _holds_meshes(path, "soccar/*.cmf")):
        yield f"{key}={shown(path)}: holds no .cmf files, nor does its subfolder soccar; null takes the package's"


def _holds_meshes(path: str, pattern: str) -> bool:
    try:
        folder = Path(path).expanduser().resolve()
        return (folder.name == "soccar" or "/" in pattern) and any(each.is_file() for each in folder.glob(pattern))
    except (OSError, RuntimeError):
        return False


def _check_training(config: TrainConfig) -> Iterator[str]:
    env = config.env
    if fault := delay_fault("env.", env.action_delay, env.tick_skip):
        yield fault
    yield from _check_resets(config)
    if env.actions is not None and config.model.action_head != "table":
        yield f"env.actions: needs model.action_head=table, not {config.model.action_head}"
    if env.action_mask and config.model.action_head != "table":
        yield f"env.action_mask=true: needs model.action_head=table, not {config.model.action_head}"
    yield from _check_meshes("env.collision_meshes", env.collision_meshes)
    yield from _check_path("resume", config.resume)
    if type(config) is not TrainConfig and config.hardware.distributed:
        yield "hardware.distributed=true: only rlbot.train runs in several processes; choose another hardware"
    if isinstance(config, BenchConfig) and not config.bench.teams:
        yield "bench.teams=[]: needs at least one team size, such as [1v1]"
    if isinstance(config, BenchConfig) and config.bench.peer is not None and config.bench.controls != "random":
        yield f"bench.peer={config.bench.peer}: plays only bench.controls=random"
    if isinstance(config, BenchConfig) and config.bench.peer is not None and any(map(_is_own, env.reset.values())):
        yield f"bench.peer={config.bench.peer}: plays only the built-in resets; leave out those of your own"
    if isinstance(config, LearncheckConfig):
        yield from _check_learncheck(config)
    yield from _check_network(config)
    if config.objective == "rating" and not config.rating.enabled:
        yield "objective=rating: needs rating.enabled=true; or take another, such as objective=touches"
    yield from _check_trackers(config)
    yield from _check_batch(config)
    yield from _check_stages(config.curriculum.stages, config.resume is not None)
    yield from _check_largest_team(config)
    yield from _check_skills(config)
    for i, anchor in enumerate(config.rating.anchors):
        if anchor.player.name in ("latest", "random", "idle"):
            yield f"rating.anchors.{i}={anchor.player.name}: must be another player, and always the same"
        else:
            yield from _check_player(f"rating.anchors.{i}", anchor.player)
    yield from _check_terms(config)


def _check_learncheck(config: LearncheckConfig) -> Iterator[str]:
    settings = config.learncheck
    for key in ("seeds", "teams", "of", "compare"):
        values = getattr(settings, key)
        if key in ("seeds", "teams") and not values:
            yield f"learncheck.{key}=[]: needs at least one, such as [{'1v1' if key == 'teams' else 0}]"
        if len(set(values)) < len(values):
            yield f"learncheck.{key}={shown(list(values))}: names one of them twice"
    for i, path in enumerate(settings.of):
        yield from _check_path(f"learncheck.of.{i}", path)
    for i, path in enumerate(settings.compare):
        if not Path(path, "learncheck.csv").expanduser().is_file():
            yield f"learncheck.compare.{i}={path}: holds no learncheck.csv; name the directory of a learncheck"
    if settings.of and settings.compare:
        yield f"learncheck.compare={shown(list(settings.compare))}: only draws curves; leave out learncheck.of"
    if settings.of or settings.compare:
        return
    if config.resume is not None:
        yield f"resume={config.resume}: a learncheck trains from scratch; learncheck.of=[...] evaluates runs that exist"
    if settings.interval < config.checkpoint_interval:
        least = f"checkpoint_interval={config.checkpoint_interval}"
        yield f"learncheck.interval={settings.interval}: must be at least {least}; set that lower too"


def _check_shares(key: str, shares: Mapping[str, float]) -> Iterator[str]:
    if fault := share_fault(key, shares):
        yield fault


def _check_network(config: TrainConfig) -> Iterator[str]:
    if config.model.network is not None:
        return  # its size is known when it is made
    hidden, versions = config.model.hidden, config.curriculum.pool_size
    if not hidden:
        yield "model.hidden=[]: needs at least one layer, such as [256,256]"
    weights = sum(a * b for a, b in pairwise(hidden))
    if weights > MAX_WEIGHTS:
        yield f"model.hidden={shown(hidden)}: has {weights:_} weights; must be at most {MAX_WEIGHTS:_}"
    elif weights * versions > MAX_POOL:
        fits = MAX_POOL // weights
        yield f"curriculum.pool_size={versions}: must be at most {fits} with model.hidden={shown(hidden)}"


def _check_batch(config: TrainConfig) -> Iterator[str]:
    batch, part = config.learner.batch_size, config.learner.minibatch_size
    if part > batch:
        yield f"learner.minibatch_size={part}: must be at most learner.batch_size={batch}"
    start, total = config.learner.anneal_from, config.total_timesteps
    if config.learner.anneal_learning_rate and start >= total:
        yield f"learner.anneal_from={start}: must be below total_timesteps={total}"
    if config.learner.overlap and config.env.workers == 0:
        yield "learner.overlap=true: needs worker processes, which env.workers=0 forbids; leave env.workers at null"
    arenas = config.env.num_envs
    if batch < 2 * arenas:
        yield f"learner.batch_size={batch}: must be at least {2 * arenas}, one step of env.num_envs={arenas}"


def _check_stages(stages: Mapping[str, StageConfig], resumed: bool) -> Iterator[str]:
    if not stages:
        yield "curriculum.stages={}: needs at least one stage"
    previous, players = 0, dict[str, Target]()
    for i, (name, stage) in enumerate(stages.items()):
        key = f"curriculum.stages.{name}"
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            yield f"{key}: a stage's name is letters, digits and _, and begins with a letter"
        if stage.until is None and i < len(stages) - 1:
            yield f"{key}.until=null: only the last stage may go on to the end; give it a timestep"
        if stage.latest is not None and stage.latest <= previous:
            where = f"{key}.until.timesteps" if stage.skills else f"{key}.until"
            yield f"{where}={stage.latest}: must be above the {previous} of the stage before"
        previous = stage.latest or previous
        yield from _check_shares(f"{key}.teams", stage.teams)
        for own, target in stage.opponent.targets.items():
            if players.setdefault(own, target) != target:
                yield f"{key}.opponent.{own}: is another player in an earlier stage; give it another name"
        yield from _check_opponents(f"{key}.opponent", stage.opponent, resumed)


def _check_largest_team(config: TrainConfig) -> Iterator[str]:
    """What the cars see must be for teams as large as they are trained in."""
    trained = [
        (f"curriculum.stages.{name}.teams.{teams}", teams)
        for name, stage in config.curriculum.stages.items()
        for teams, share in stage.teams.items()
        if share > 0
    ]
    if isinstance(config, BenchConfig):
        trained = [(f"bench.teams.{i}", teams) for i, teams in enumerate(config.bench.teams)]
    seen = config.env.observation
    for key, teams in trained:
        if "3" in teams and seen.target is None and largest_team(seen.name) < 3:
            yield f"{key}: env.observation={seen.name} is for smaller teams; add env.observation=six_cars"
            return


def _check_trackers(config: TrainConfig) -> Iterator[str]:
    names = [tracker.name for tracker in config.tracker if tracker.target is None]
    if len(set(names)) < len(names):
        yield f"tracker={shown(names)}: names one of them twice"
    if "wandb" in names and importlib.util.find_spec("wandb") is None:
        yield 'tracker: wandb is not installed; python -m pip install -c constraints.txt -e ".[wandb]" installs it'


def _check_skills(config: TrainConfig) -> Iterator[str]:
    """What measures a skill must be there."""
    for name, stage in config.curriculum.stages.items():
        key = f"curriculum.stages.{name}"
        if "rating" in stage.skills and not config.rating.enabled:
            yield f"{key}.until.rating: needs rating.enabled=true, or another skill"
        if "score_against_past" in stage.skills and not stage.opponent.shares.get("past"):
            yield f"{key}.until.score_against_past: needs past among the opponents, such as {key}.opponent=past"


def _check_opponents(key: str, opponent: OpponentConfig, resumed: bool) -> Iterator[str]:
    kinds = ("self", "past", "random", "idle")
    yield from _check_shares(key, opponent.shares)
    yield from (
        f"{key}.{name}: is the name of a built-in opponent; choose another"
        for name in opponent.targets
        if name in kinds
    )
    for name in opponent.shares:
        if name in (*kinds, *opponent.targets):
            continue
        if (file := weights_of(name)) is not None:
            if not _is_file(file):
                yield f"{key}={name}: there is no file {file}"
        elif not resumed and not exists(name):  # a checkpoint may hold a bot whose file is gone: checked when loaded
            there_are = "self, past, random, idle, nexto:PATH, necto:PATH, or the path of a run or checkpoint"
            yield f"{key}={name}: no such opponent; there are: {there_are}"


def _check_resets(config: TrainConfig) -> Iterator[str]:
    """A stage's reset may name one of the user's own in env.reset."""
    built_in = built_in_resets()
    stages = {f"curriculum.stages.{name}.reset": stage.reset for name, stage in config.curriculum.stages.items()}
    own = [name for name, reset in config.env.reset.items() if _is_own(reset)]
    for group, resets in {"env.reset": config.env.reset, **stages}.items():
        if resets or group == "env.reset":
            yield from _check_shares(group, {name: reset.share for name, reset in resets.items()})
        for name, reset in resets.items():
            if not _is_own(reset) and name not in built_in and not (name in own and group != "env.reset"):
                fault = no_such_name(f"{group}.{name}", name, built_in)
                yield f"{fault}; a reset of your own needs a _target_ or recordings"


def _is_own(reset: Reset) -> bool:
    return reset.target is not None or reset.recordings is not None


def _check_terms(config: TrainConfig) -> Iterator[str]:
    built_in = built_in_terms()
    known = [*built_in, *(name for name, term in config.reward.terms.items() if term.target)]
    used = [(f"reward.terms.{name}", name) for name in config.reward.terms]
    used += [(f"reward.zero_sum.{i}", name) for i, name in enumerate(config.reward.zero_sum)]
    for each, stage in config.curriculum.stages.items():
        used += [(f"curriculum.stages.{each}.reward.{name}", name) for name in stage.reward]
    for key, name in used:
        if name not in known:
            own = "; a term of your own needs a _target_" if key == f"reward.terms.{name}" else ""
            yield unknown_name(key if key.endswith(name) else f"{key}={name}", name, built_in) + own
