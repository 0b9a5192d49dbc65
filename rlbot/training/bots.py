"""Opponents from files: bots of this project are read once and saved in the checkpoints of the run; players that act
from the state are made anew from their files."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.bots import StateBot, by_name
from rlbot.curriculum import KINDS, TEAM_SIZES, Stage
from rlbot.env.action import checked_table
from rlbot.policy import Bot, load
from rlbot.policy.bot import read_mask, read_network, read_observation
from rlbot.rating import tournament
from rlbot.rating.matches import check_teams, load_bot
from rlbot.rating.rater import Anchor, rated_teams
from rlbot.settings.schema import TrainConfig
from rlbot.values.player_names import weights_of
from rlbot.values.target import Target

_BOT = "bot/"  # prefix of the names of their weights in a checkpoint


def load_bots(config: TrainConfig, saved: Mapping[str, Bot]) -> dict[str, Bot | StateBot]:
    """Returns the opponents that are not in KINDS, by name. Bots that are named by a path are taken from `saved` (the
    run's checkpoint) if they are in it, otherwise read from the path. Raises ValueError that names the setting if a bot
    cannot be read, was trained with another tick_skip or action_delay, or sees too little for the teams of a stage."""
    bots: dict[str, Bot | StateBot] = {}
    for stage_name, stage in config.curriculum.stages.items():
        setting = f"curriculum.stages.{stage_name}.opponent"
        largest = _largest_team(stage.teams)
        for name in stage.opponent.shares:
            if name in KINDS:
                continue
            if name not in bots:
                bots[name] = _opponent(name, stage.opponent.targets.get(name), config, saved, setting)
            check_teams([(f"{setting}={name}", bots[name])], largest)
    return bots


def _opponent(
    name: str, target: Target | None, config: TrainConfig, saved: Mapping[str, Bot], setting: str
) -> Bot | StateBot:
    if target is not None:
        return StateBot(name, target, f"{setting}.{name}").prepare()
    if weights_of(name) is not None:
        return by_name(name, setting).prepare()
    bot = saved.get(name) or load(name, setting=setting)
    _check_pace(bot, config, f"{setting}={name}")
    return bot


def _largest_team(teams: Mapping[str, float]) -> int:
    return max(max(TEAM_SIZES[name]) for name, share in teams.items() if share > 0)


def _check_pace(bot: Bot, config: TrainConfig, named: str) -> None:
    pace = config.env.tick_skip, config.env.action_delay
    if (bot.tick_skip, bot.action_delay) != pace:
        raise ValueError(
            f"{named}: was trained with tick_skip={bot.tick_skip}, action_delay={bot.action_delay}, "
            f"but this run has tick_skip={pace[0]}, action_delay={pace[1]};\n"
            "name a bot with the values of this run, or set env.tick_skip and env.action_delay to the bot's"
        )


def load_anchors(config: TrainConfig, stages: Sequence[Stage]) -> tuple[Anchor, ...]:
    """Returns the players of rating.anchors. Raises ValueError that names the setting if one cannot be read, or was
    trained with another tick_skip or action_delay, or sees too little for the teams that are rated."""
    if not config.rating.enabled:
        return ()
    largest = max(max(TEAM_SIZES[name]) for name in rated_teams(stages))
    found = []
    for i, each in enumerate(config.rating.anchors):
        setting = f"rating.anchors.{i}"
        player = load_bot(each.player.name, each.player.target, setting)
        if isinstance(player, Bot):
            _check_pace(player, config, f"{setting}={each.player.name}")
        check_teams([(f"{setting}={each.player.name}", player)], largest)
        found.append(player)
    named = tournament.named((), found)
    return tuple(
        Anchor(name, player, each.rating)
        for (name, player), each in zip(named.items(), config.rating.anchors, strict=False)
        if not isinstance(player, str)
    )


def bots_state(bots: Mapping[str, Bot | StateBot]) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Returns (arrays by name, JSON-able document) of opponents that are named by the path of a run or checkpoint. A
    checkpoint holds them, so that a run can be resumed without their files."""
    trained = {name: bot for name, bot in bots.items() if isinstance(bot, Bot)}
    document = {
        name: {
            "network": bot.network.document(),
            "observation_from": bot.observation.document(),
            "table": bot.network.table,
            "action_mask": bot.network.action_mask,
            "tick_skip": bot.tick_skip,
            "action_delay": bot.action_delay,
            "timesteps": bot.timesteps,
            "path": str(bot.path),
        }
        for name, bot in trained.items()
    }
    return {f"{_BOT}{name}": bot.weights for name, bot in trained.items()}, document


def saved_bots(tensors: Mapping[str, Any], documents: Mapping[str, Any]) -> dict[str, Bot]:
    """Returns the opponents that `bots_state` put into a checkpoint, by their path."""
    bots = {}
    for name, each in documents.get("opponents_state", {}).items():  # older checkpoints have none
        observation = read_observation(each)
        network = read_network(each["network"], observation=observation)
        if each.get("table") is not None:  # older checkpoints have none
            network = dataclasses.replace(network, table=checked_table(each["table"], f"the action table of {name}"))
        network = dataclasses.replace(network, action_mask=read_mask(each))
        weights = np.asarray(tensors["opponents"][f"{_BOT}{name}"])
        bots[name] = Bot(
            network, weights, each["tick_skip"], each["action_delay"], each["timesteps"], Path(each["path"]),
            observation=observation,
        )  # fmt: skip
    return bots
