"""The files of an exported bot: a program that does not need this project, the weights and a manifest."""

import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import CONTROL_NAMES
from rlbot.env.observations import DEFAULT, SIX_CARS
from rlbot.export import self_play
from rlbot.export.template.agent import files, geometry, observation, self_test, tracker
from rlbot.export.template.agent.network import Network
from rlbot.export.template.agent.recording import Plain
from rlbot.policy import Bot
from rlbot.policy import Network as PolicyNetwork
from rlbot.policy.own_network import OwnNetwork
from rlbot.sim import PAD_COOLDOWN, PAD_POSITION

TEMPLATE = Path(__file__).parent / "template"
RLGYM_TEMPLATE = Path(__file__).parent / "template_rlgym"  # files that differ from TEMPLATE
_FILLED_IN = ("bot.toml", "README.md")


@dataclasses.dataclass(frozen=True)
class BotInfo:
    """How an exported bot is presented and played. The settings check that name and developer are valid in TOML and in
    the game."""

    name: str
    developer: str
    rating: Mapping[str, Any] | None = None  # by team size, as in the run's ratings.json
    deterministic: bool = True  # the most likely action, instead of a drawn one

    @property
    def slug(self) -> str:
        """The name as used in files and ids."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "bot"

    @property
    def agent_id(self) -> str:
        return f"rlbot-trainer/{self.slug}"


def rlbot_folder(bot: Bot, about: BotInfo) -> dict[str, bytes]:
    """Every file of a folder for RLBot v5, by its name.

    Raises RuntimeError if the program in the folder does not play like the policy.
    """
    return _bot_folder(bot, about, _read(TEMPLATE))


def rlgym_folder(bot: Bot, about: BotInfo) -> dict[str, bytes]:
    """The same for rlgym-rlbot: an observation builder, an action parser and a subclass of its RLGymBot between RLBot
    and the policy."""
    shared = {name: data for name, data in _read(TEMPLATE).items() if not name.startswith("agent/self_test")}
    return _bot_folder(bot, about, {**shared, **_read(RLGYM_TEMPLATE)})


def _read(template: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(template.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(template).as_posix(): path.read_bytes() for path in paths}


def _bot_folder(bot: Bot, about: BotInfo, made: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a template with its words filled in, the weights, the recorded play and the manifest."""
    arrays = weights(bot)
    made[files.WEIGHTS] = _npz(arrays)
    document = manifest(bot, about)
    masked = document["observation"] if document["action_mask"] else None
    network = Network(document["network"], arrays, document["action_table"], masked)
    recorded = self_play.record(bot, accept=lambda scene: _plays_alike(document, network, scene))
    made[files.RECORDING] = _npz(recorded.arrays())
    words = {
        "agent_id": about.agent_id,
        "name": about.name,
        "developer": about.developer,
        "description": f"Trained by reinforcement learning for {bot.timesteps:,} timesteps.",
        "tick_skip": str(bot.tick_skip),
    }
    for name in _FILLED_IN:
        made[name] = Template(made[name].decode("utf-8")).substitute(words).encode("utf-8")
    return with_manifest(made, document)


def built_in(bot: Bot) -> PolicyNetwork:
    """The bot's network. Raises ValueError if it, or what the bot sees, has no code in an exported folder."""
    if isinstance(bot.network, OwnNetwork):
        own = bot.network.target.name
        raise ValueError(f"checkpoint={bot.path}: its network is {own}; only networks of model.hidden can be exported")
    if bot.observation not in (DEFAULT, SIX_CARS):
        sees = bot.observation.target.name if bot.observation.target else bot.observation.name
        raise ValueError(
            f"checkpoint={bot.path}: it sees {sees}; only bots with env.observation=default or six_cars can be exported"
        )
    return bot.network


def manifest(bot: Bot, about: BotInfo) -> dict[str, Any]:
    """The manifest without the list of files: how the bot was trained and how it must be played."""
    pads = zip(PAD_POSITION.tolist(), PAD_COOLDOWN.tolist(), strict=True)
    return {
        "format": files.FORMAT,
        "version": files.VERSION,
        "name": about.name,
        "agent_id": about.agent_id,
        "timesteps": bot.timesteps,
        "rating": None if about.rating is None else dict(about.rating),
        "checkpoint": bot.path.name,
        "tick_skip": bot.tick_skip,
        "action_delay": bot.action_delay,
        "engine": bot.engine,
        "deterministic": about.deterministic,
        "network": built_in(bot).document(),
        "observation": [list(each) for each in bot.observation.columns],
        "observation_from": bot.observation.document(),
        "constants": {
            "ticks_per_second": round(1 / geometry.TICK),
            "position_and_velocity_scale": observation.SPEED,
            "car_spin_scale": observation.CAR_SPIN,
            "ball_spin_scale": observation.BALL_SPIN,
            "demolition_seconds": observation.DEMOLITION,
            "flip_window_seconds": observation.FLIP_WINDOW,
            "boost_scale": observation.TANK,
            "gravity_z": observation.GRAVITY,
            "ball_radius": observation.BALL_RADIUS,
            "goal_y": observation.GOAL_Y,
            "goal_z": observation.GOAL_Z,
            "limit": observation.LIMIT,
            "handbrake_rise_per_second": tracker.HANDBRAKE_RISE,
            "handbrake_fall_per_second": tracker.HANDBRAKE_FALL,
            "boost_pads": [[x, y, cooldown] for (x, y), cooldown in pads],  # x, y, seconds until it is back
        },
        "controls": list(CONTROL_NAMES),
        "action_table": bot.network.action_table.tolist(),
        "action_mask": bot.network.action_mask,
    }


def with_manifest(made: Mapping[str, bytes], document: Mapping[str, Any]) -> dict[str, bytes]:
    """The files, and a manifest with their checksums."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(made.items())}
    text = json.dumps({**document, "files": sums}, indent=1) + "\n"
    return {**made, files.MANIFEST: text.encode("ascii")}


def weights(bot: Bot) -> dict[str, NDArray[np.float32]]:
    """The actor's arrays, with the names and shapes of rlbot.model's state_dict."""
    arrays, at = {}, 0
    for name, shape in bot.network.arrays():
        size = int(np.prod(shape))
        array = bot.weights[at : at + size].reshape(shape)
        arrays[name] = np.ascontiguousarray(array.T) if array.ndim == 2 else array.copy()
        at += size
    return arrays


def network_folder(bot: Bot, about: BotInfo, name: str, data: bytes) -> dict[str, bytes]:
    """Every file of a folder that holds only the network, as the file `name`."""
    text = Template((Path(__file__).parent / "network.md").read_text(encoding="utf-8")).substitute(
        name=about.name, file=name, outputs=bot.network.head.outputs, size=bot.observation.size, tick_skip=bot.tick_skip
    )
    return with_manifest({name: data, "README.md": text.encode("utf-8")}, manifest(bot, about))


def write(folder: Path, made: Mapping[str, bytes]) -> None:
    """Write the files into a new or empty folder; nothing is overwritten. Raises ValueError if that is not possible."""
    try:
        for name, data in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise ValueError(f"out={folder}: cannot be written: {error.strerror}") from error


def _plays_alike(document: Mapping[str, Any], network: Network, scene: self_play.Recording) -> bool:
    return not self_test.compare(document, network, scene.arrays(), Plain()).faults


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
