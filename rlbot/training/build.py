"""Builds the objects of a training run from the settings."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlbot.bots import StateBot, pace_note
from rlbot.collect import Collector, Matchup, Shared
from rlbot.curriculum import Pool, Stage, self_play, team_sizes
from rlbot.env import ACTION_TABLE
from rlbot.env.action import Table
from rlbot.env.observations import Observation
from rlbot.hardware import SINGLE, Group, Hardware, available_cores
from rlbot.learner import PPO
from rlbot.learner.device_actor import DeviceActor
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.model.own import AnyModel, OwnActorCritic
from rlbot.policy import AnyNetwork, Bot, Network
from rlbot.policy.own_network import OwnNetwork, outputs
from rlbot.rating.rater import Anchor
from rlbot.settings.schema import TrainConfig
from rlbot.sim import load_meshes, obtain_meshes, version
from rlbot.training.bots import load_anchors, load_bots
from rlbot.training.build_env import make_env, make_observation, make_reward, make_table
from rlbot.training.loop import Schedule

# Settings of the learner that are set anew for each iteration, because they may be ramps, or change while a run trains.
_OF_AN_ITERATION = (
    "entropy_coef", "clip_range", "clip_range_value", "value_coef", "target_kl", "max_grad_norm"
)  # fmt: skip
_MANY_WEIGHTS = 300_000  # of an actor; three layers of 256 have 210,000


@dataclasses.dataclass(frozen=True)
class Components:
    """The objects that a training run consists of."""

    hardware: Hardware
    model: AnyModel
    ppo: PPO
    network: Network | OwnNetwork
    observation: Observation
    shared: Shared
    pool: Pool
    stages: tuple[Stage, ...]
    bots: Mapping[str, Bot | StateBot]  # opponents from files, by name
    anchors: tuple[Anchor, ...]  # of the rating; only the first rank has them
    workers: int
    make_collector: Callable[[int], Collector]  # takes the index of a stage

    def publish(self) -> NDArray[np.float32]:
        """Copies the actor's weights into the memory from which the collectors read them, and returns them."""
        vector = np.frombuffer(self.shared.vector, np.float32)
        self.network.vector(self.model.actor_arrays(), vector)
        return vector


def build(
    config: TrainConfig, warn: Callable[[str], None], group: Group = SINGLE, saved_bots: Mapping[str, Bot] | None = None
) -> Components:
    """Builds everything that one process of a run needs. `saved_bots`: the opponents in a checkpoint that are named by
    a path, by that path.

    Raises ValueError that names the setting if this machine lacks something or a file cannot be used."""
    if config.env.num_envs < group.size:
        raise ValueError(f"env.num_envs={config.env.num_envs}: must be at least {group.size}, one for each process")
    hardware = make_hardware(config, group)
    obtain_meshes(config.env.collision_meshes)
    load_meshes(config.env.collision_meshes, config.env.engine)
    hardware.seed(config.seed)
    model = make_model(config).to(hardware.device)
    group.copy_first(model.parameters())
    network = make_network(config)
    size = network.size()
    shared = Shared(
        RawArray("f", size),
        RawArray("b", Pool.num_bytes(config.curriculum.pool_size, size)),
        config.curriculum.pool_size,
    )
    stages = make_stages(config)
    bots = group.first(load_bots(config, saved_bots or {}) if group.rank == 0 else {})
    anchors = load_anchors(config, stages) if group.rank == 0 else ()
    for bot in (*bots.values(), *(each.player for each in anchors)):
        if isinstance(bot, StateBot) and (note := pace_note(bot, config.env.tick_skip)):
            warn(note)
    for stage in stages:
        make_reward(config.reward, stage.reward)  # finds a user's reward term that cannot be loaded, before training
    cores = max(available_cores() // group.world.local_size, 1)
    workers = cores if config.env.workers is None else config.env.workers

    def collector(index: int) -> Collector:
        stage = stages[index]
        return Collector(
            partial(make_env, config, stage),
            team_sizes(stage, config.env.num_envs),
            Matchup(
                network,
                stage.opponents,
                config.curriculum.draw,
                tuple(self_play(stage, config.env.num_envs)),
                config.seed + 1000 * index,
                {name: bot for name, bot in bots.items() if name in stage.opponents},
            ),
            config.learner.batch_size,
            shared,
            group,
            workers,
            bool(config.learner.overlap),
            warn,
            make_actor(config, network, hardware, warn),
            config.learner.sequence_length if network.state_size else 1,
            hardware.page_lock,
        )

    ppo = make_ppo(config, model, hardware, warn)
    return Components(
        hardware,
        model,
        ppo,
        network,
        make_observation(config),
        shared,
        Pool(config.curriculum.pool_size, size, shared.pool),
        stages,
        bots,
        anchors,
        workers,
        collector,
    )


def with_overlap(config: TrainConfig) -> TrainConfig:
    """The settings with true or false in place of learner.overlap=null: true if a GPU learns beside workers. What a
    run began with is in its checkpoints, so that it goes on in the same way on any machine."""
    if config.learner.overlap is not None:
        return config
    gpu = config.hardware.device != "cpu" and torch.cuda.is_available()
    overlap = gpu and config.env.workers != 0
    return dataclasses.replace(config, learner=dataclasses.replace(config.learner, overlap=overlap))


def make_hardware(config: TrainConfig, group: Group = SINGLE) -> Hardware:
    settings = dataclasses.asdict(config.hardware)
    del settings["time_limit"]  # used by the run itself
    del settings["distributed"]  # the group says it
    del settings["acting"]  # see make_actor
    return Hardware.choose(**settings, group=group, width=max(config.model.hidden))


def make_network(config: TrainConfig) -> Network | OwnNetwork:
    """The actor, without weights."""
    return _network(config, make_observation(config).size, make_table(config))


def _network(config: TrainConfig, size: int, table: Table | None) -> Network | OwnNetwork:
    model = config.model
    if model.network is not None:
        return OwnNetwork(size, model.action_head, model.network, table, config.env.action_mask)
    return Network(
        size, model.hidden, model.layer_norm, model.activation, model.action_head, table, config.env.action_mask
    )


def make_model(config: TrainConfig) -> AnyModel:
    """Raises ValueError if a network of the user's own cannot be made."""
    model, size = config.model, make_observation(config).size
    table = make_table(config)
    head = make_head(model.action_head, ACTION_TABLE if table is None else table)
    if model.network is not None:
        own = OwnNetwork(size, model.action_head, model.network, table)
        return OwnActorCritic(size, head, own.module(), partial(outputs, own), own.state_size)
    return ActorCritic(size, head, model.hidden, model.layer_norm, model.activation, model.shared_trunk)


def learner_acts(config: TrainConfig, network: AnyNetwork, device: str) -> bool:
    """Whether the learner's process, on its `device`, acts for the workers.

    By default it does for a network of the user's own, for which the workers would need PyTorch, and what they compute
    would depend on their number; but on a CPU it cannot act and learn at the same time without loss. And it does on a
    GPU for layers with more weights than a worker can multiply in the time of the physics (docs/performance.md)."""
    if config.hardware.acting != "auto":
        return config.hardware.acting == "learner"
    if device == "cpu":
        return config.model.network is not None and not config.learner.overlap
    return config.model.network is not None or network.size() > _MANY_WEIGHTS


def make_actor(
    config: TrainConfig, network: AnyNetwork, hardware: Hardware, warn: Callable[[str], None]
) -> DeviceActor | None:
    """What acts in the learner's process for the workers; None if they act themselves."""
    if not learner_acts(config, network, hardware.device.type):
        return None
    with torch.random.fork_rng(devices=[]):  # its weights are those of the learner
        model = make_model(config).to(hardware.device)
    return DeviceActor(model, network, hardware, warn)


def make_ppo(config: TrainConfig, model: AnyModel, hardware: Hardware, warn: Callable[[str], None] = print) -> PPO:
    settings = dataclasses.asdict(config.learner)
    for name in ("batch_size", "anneal_learning_rate", "anneal_from", "anneal_to", "max_bad_updates"):  # the loop's
        del settings[name]
    settings |= {"overlap": bool(config.learner.overlap), **make_schedule(config).learner_at(0)}
    return PPO(model, hardware=hardware, seed=config.seed, warn=warn, **settings)


def make_schedule(config: TrainConfig) -> Schedule:
    """The schedule of checkpoints and of the learning rate."""
    learner = config.learner
    return Schedule(
        config.total_timesteps,
        config.checkpoint_interval,
        learner.learning_rate,
        learner.anneal_learning_rate,
        bool(learner.overlap),
        learner.anneal_from,
        learner.anneal_to,
        {name: getattr(learner, name) for name in _OF_AN_ITERATION},
    )


def make_stages(config: TrainConfig) -> tuple[Stage, ...]:
    weights = {name: term.weight for name, term in config.reward.terms.items()}
    return tuple(
        Stage(name, each.latest, each.teams, each.opponent.shares, each.reward, each.reset, weights, each.skills)
        for name, each in config.curriculum.stages.items()
    )


def make_bot(config: TrainConfig, components: Components, timesteps: int, checkpoints: Path) -> Bot:
    """The current policy as a bot, with a copy of the weights. Its checkpoint lies in the folder `checkpoints`."""
    weights = np.empty(components.network.size(), np.float32)
    components.network.vector(components.model.actor_arrays(), weights)
    path = checkpoints / f"step_{timesteps:09d}"
    return Bot(
        components.network,
        weights,
        config.env.tick_skip,
        config.env.action_delay,
        timesteps,
        path,
        engine=version(config.env.engine),
        observation=components.observation,
    )


def policy_document(config: TrainConfig, played: Components | None = None) -> dict[str, Any]:
    """The layout that a checkpoint's policy was trained with. It can only be played with the same one. `played`: the
    parts of the run, which may have been loaded from copies of the user's files; the document names the files."""
    observation = make_observation(config) if played is None else played.observation
    table = make_table(config) if played is None else played.network.table
    network, target = _network(config, observation.size, table), config.env.observation.target
    return {
        "observation": [list(each) for each in observation.columns],
        "observation_from": observation.document() | ({} if target is None else {"target": target.document()}),
        "action_table": network.action_table.tolist(),
        "action_mask": network.action_mask,
        "network": network.document(),
        "tick_skip": config.env.tick_skip,
        "action_delay": config.env.action_delay,
        "engine": version(config.env.engine),
    }
