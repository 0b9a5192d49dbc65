"""Builds rules, rewards and arenas from the settings. Workers import this module, so it must not import PyTorch."""

from collections.abc import Mapping
from dataclasses import replace

from rlbot.curriculum import TEAM_SIZES, Stage, orange_first, team_sizes
from rlbot.env import BatchEnv, Rules
from rlbot.env.action import Table
from rlbot.env.observations import Observation
from rlbot.env.own_actions import load_table
from rlbot.env.own_ending import OwnEnding
from rlbot.env.own_reset import OwnReset
from rlbot.env.reset import RESETS
from rlbot.env.rlgym import adapted
from rlbot.recording.starts import recorded_starts
from rlbot.reward import Reward, Term
from rlbot.reward.compose import with_weights
from rlbot.settings.schema import RewardConfig, TrainConfig
from rlbot.sim import load_meshes, team_slots_for
from rlbot.values.ramp import Ramp, example


def make_rules(config: TrainConfig) -> Rules:
    env = config.env
    return Rules(env.tick_skip, env.action_delay, env.time_limit, env.no_touch_limit)


def make_reward(config: RewardConfig, changes: Mapping[str, float | Ramp] | None = None) -> Reward:
    """`changes`: the reward weights of a stage. In place of a ramp stands one of its ends, until the run gives the
    weights (`Reward.weigh`). Raises ValueError if a user's own term cannot be loaded."""
    terms = []
    for name, term in config.terms.items():
        own = term.target
        function = adapted(own.load(f"reward.terms.{name}"), f"reward.terms.{name}") if own else None
        terms.append(Term(name, example(term.weight), function, own.name if own else None))
    weights = {name: example(weight) for name, weight in (changes or {}).items()}
    return Reward(with_weights(terms, weights), config.zero_sum, config.team_spirit, config.clip)


def make_resets(config: TrainConfig, stage: Stage) -> dict[str, float | OwnReset]:
    """The kinds of reset of a stage, with their shares. A stage may name one of the user's own in env.reset by its
    share. Raises ValueError if a function cannot be loaded, or recordings cannot be read or used."""
    made: dict[str, float | OwnReset] = {}
    for name, reset in (stage.reset_mix or config.env.reset).items():
        key = f"curriculum.stages.{stage.name}.reset.{name}" if stage.reset_mix else f"env.reset.{name}"
        kind = reset
        if reset.target is None and reset.recordings is None and name not in RESETS:
            key, kind = f"env.reset.{name}", config.env.reset[name]
        if kind.target is not None:
            made[name] = OwnReset(reset.share, adapted(kind.target.load(key), key), f"{key} ({kind.target.name})")
        elif kind.recordings is not None:
            sizes = tuple(TEAM_SIZES[teams] for teams, share in stage.teams.items() if share > 0)
            starts = recorded_starts(kind.recordings, f"{key}.recordings", sizes)
            made[name] = OwnReset(reset.share, starts.draw, f"{key} ({kind.recordings})")
        else:
            made[name] = reset.share
    return made


def make_endings(config: TrainConfig) -> list[OwnEnding]:
    """The user's own endings. Raises ValueError if one cannot be loaded."""
    named = [(f"env.ending.{name}", target) for name, target in config.env.ending.items()]
    return [OwnEnding(adapted(target.load(key), key), f"{key} ({target.name})") for key, target in named]


def make_observation(config: TrainConfig) -> Observation:
    """Raises ValueError if the user's own cannot be loaded or used."""
    stages = config.curriculum.stages.values()
    teams = next(name for stage in stages for name, share in stage.teams.items() if share > 0)
    observation = Observation(config.env.observation.name, config.env.observation.target)
    if observation.is_rlgym:
        observation = replace(observation, sizes=TEAM_SIZES[teams])
    observation.columns  # noqa: B018 - loads it now, not when the first checkpoint is saved
    return observation


def make_table(config: TrainConfig) -> Table | None:
    """The user's own action table; None: the built-in one. Raises ValueError if it cannot be loaded or is no table."""
    target = config.env.actions
    return None if target is None else load_table(target, config.env.tick_skip)


def make_env(config: TrainConfig, stage: Stage, start: int = 0, stop: int | None = None) -> BatchEnv:
    """Returns the arenas [start, stop) of the batch of one stage; by default all of them. Raises ValueError if
    the engine or its collision meshes are not there."""
    load_meshes(config.env.collision_meshes, config.env.engine)
    sizes = team_sizes(stage, config.env.num_envs)
    return BatchEnv(
        sizes[start:stop],
        make_reward(config.reward, stage.reward),
        make_resets(config, stage),
        make_rules(config),
        first_arena=start,
        engine=config.env.engine,
        endings=make_endings(config),
        observation=make_observation(config),
        team_slots=team_slots_for(sizes),
        orange_first=orange_first(stage, config.env.num_envs)[start:stop],
    )


def make_sample(config: TrainConfig, stage: Stage) -> BatchEnv:
    """Returns one arena of each team size of a stage: enough to check that everything in it works."""
    load_meshes(config.env.collision_meshes, config.env.engine)
    sizes = list(dict.fromkeys(team_sizes(stage, config.env.num_envs)))
    if len(sizes) == 2 * team_slots_for(sizes):  # otherwise the wrong shape (cars, arenas) would look right
        sizes.append(sizes[0])
    return BatchEnv(
        sizes,
        make_reward(config.reward, stage.reward),
        make_resets(config, stage),
        make_rules(config),
        engine=config.env.engine,
        endings=make_endings(config),
        observation=make_observation(config),
    )
