"""Opponents that are named by the path of a run or checkpoint: read once, and saved in the run's own checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.curriculum import KINDS
from rlbot.policy import Bot, load
from rlbot.policy.bot import read_network
from rlbot.settings.schema import TrainConfig

_BOT = "bot/"  # prefix of the names of their weights in a checkpoint


def load_bots(config: TrainConfig, saved: Mapping[str, Bot]) -> dict[str, Bot]:
    """Returns the opponents that are named by a path, by that path. They are taken from `saved` (the run's checkpoint)
    if they are in it, otherwise read from the path. Raises ValueError that names the setting if a bot cannot be read
    or was trained with another tick_skip or action_delay."""
    pace = config.env.tick_skip, config.env.action_delay
    bots: dict[str, Bot] = {}
    for stage_name, stage in config.curriculum.stages.items():
        setting = f"curriculum.stages.{stage_name}.opponent"
        for name in stage.opponent.shares:
            if name in KINDS:
                continue
            bot = bots.get(name) or saved.get(name) or load(name, setting=setting)
            if (bot.tick_skip, bot.action_delay) != pace:
                raise ValueError(
                    f"{setting}={name}: was trained with tick_skip={bot.tick_skip}, action_delay={bot.action_delay}, "
                    f"but this run has tick_skip={pace[0]}, action_delay={pace[1]};\n"
                    "name a bot with the values of this run, or set env.tick_skip and env.action_delay to the bot's"
                )
            bots[name] = bot
    return bots


def bots_state(bots: Mapping[str, Bot]) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Returns (arrays by name, JSON-able document) of opponents that are named by a path. A checkpoint holds them, so
    that a run can be resumed without their files."""
    document = {
        name: {
            "network": bot.network.document(),
            "tick_skip": bot.tick_skip,
            "action_delay": bot.action_delay,
            "timesteps": bot.timesteps,
            "path": str(bot.path),
        }
        for name, bot in bots.items()
    }
    return {f"{_BOT}{name}": bot.weights for name, bot in bots.items()}, document


def saved_bots(tensors: Mapping[str, Any], documents: Mapping[str, Any]) -> dict[str, Bot]:
    """Returns the opponents that `bots_state` put into a checkpoint, by their path."""
    bots = {}
    for name, each in documents.get("opponents_state", {}).items():  # older checkpoints have none
        network = read_network(each["network"])
        weights = np.asarray(tensors["opponents"][f"{_BOT}{name}"])
        bots[name] = Bot(
            network, weights, each["tick_skip"], each["action_delay"], each["timesteps"], Path(each["path"])
        )
    return bots
