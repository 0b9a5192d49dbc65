"""Opponents that are named by the path of a run or checkpoint: read once, and kept in the run's own checkpoints."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.curriculum import KINDS
from rlbot.policy import Bot, Network, load
from rlbot.settings.schema import TrainConfig

_BOT = "bot/"  # begins the names of their weights in a checkpoint


def load_bots(config: TrainConfig, saved: Mapping[str, Bot]) -> dict[str, Bot]:
    """The opponents that are named by a path, by that path: as they were when the run first read them (`saved`, in its
    checkpoint), else as they are now. Raises ValueError, naming the setting, where one cannot be played."""
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
                    f"{setting}={name}: it acts every {bot.tick_skip} ticks, {bot.action_delay} late (tick_skip, "
                    f"action_delay), this run every {pace[0]}, {pace[1]} late;\n"
                    "name a bot that was trained at the pace of this run, or set env.tick_skip and env.action_delay"
                )
            bots[name] = bot
    return bots


def bots_state(bots: Mapping[str, Bot]) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Opponents that are named by a path for a checkpoint, as (arrays, JSON-able): the run can go on without their
    files."""
    document = {
        name: {
            "network": dataclasses.asdict(bot.network),
            "tick_skip": bot.tick_skip,
            "action_delay": bot.action_delay,
            "timesteps": bot.timesteps,
            "path": str(bot.path),
        }
        for name, bot in bots.items()
    }
    return {f"{_BOT}{name}": bot.weights for name, bot in bots.items()}, document


def saved_bots(tensors: Mapping[str, Any], documents: Mapping[str, Any]) -> dict[str, Bot]:
    """The opponents that `bots_state` put into a checkpoint."""
    bots = {}
    for name, each in documents.get("opponents_state", {}).items():  # the first checkpoints had none
        network = Network(**{**each["network"], "hidden": tuple(each["network"]["hidden"])})
        weights = np.asarray(tensors["opponents"][f"{_BOT}{name}"])
        bots[name] = Bot(
            network, weights, each["tick_skip"], each["action_delay"], each["timesteps"], Path(each["path"])
        )
    return bots
