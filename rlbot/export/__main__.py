"""`python -m rlbot.export`: a trained bot for RLBot v5, or its network for other programs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbot.settings import command
from rlbot.settings.errors import building
from rlbot.settings.schema import ExportConfig

if TYPE_CHECKING:
    from rlbot.export.folder import BotInfo
    from rlbot.policy import Bot


def main(config: ExportConfig, directory: Path) -> None:
    """Writes the folder."""
    # Imported here because they are slow: errors in the settings are reported before.
    from rlbot.export import folder
    from rlbot.policy import load
    from rlbot.run import Console

    warnings: list[str] = []
    with building():
        bot = load(config.checkpoint)
        name = config.name or f"Bot {_short(bot.timesteps)}"
        about = folder.BotInfo(name, config.developer or "", _rating(bot), config.deterministic)
        made = _FORMATS[config.format](bot, about, config, warnings.append)
        out = directory / about.slug if config.out is None else Path(config.out).expanduser()
        folder.write(out, made)
    with Console(directory / "export.log") as console:
        for warning in warnings:
            console.warn(warning)
        size = sum(map(len, made.values())) / 1e6
        console.ok(f"Written: {out}, {size:.1f} MB: {about.name}, {bot.path}; its README.md says how to use it")


def _rlbot(bot: "Bot", about: "BotInfo", config: ExportConfig, warn: Callable[[str], None]) -> dict[str, bytes]:
    from rlbot.export.folder import rlbot_folder, rlgym_folder
    from rlbot.export.self_play import ENGINE
    from rlbot.sim import load_meshes, obtain_meshes

    obtain_meshes(config.collision_meshes)
    load_meshes(config.collision_meshes, ENGINE)  # the packets of the self-test are recorded now
    return rlbot_folder(bot, about) if config.format == "rlbot" else rlgym_folder(bot, about)


def _onnx(bot: "Bot", about: "BotInfo", config: ExportConfig, warn: Callable[[str], None]) -> dict[str, bytes]:
    from rlbot.export import network, onnx_graph
    from rlbot.export.folder import built_in, network_folder

    model = network.load_model(bot)
    data = onnx_graph.onnx_file(model, built_in(bot))
    sample = network.sample(bot)
    found = onnx_graph.run(data, sample)
    if found is None:
        warn(f"onnxruntime is not installed, so the file was not checked; {onnx_graph.HINT}")
    else:
        network.compare(network.run(model, sample), found)
    return network_folder(bot, about, "policy.onnx", data)


def _torchscript(bot: "Bot", about: "BotInfo", config: ExportConfig, warn: Callable[[str], None]) -> dict[str, bytes]:
    from rlbot.export import network
    from rlbot.export.folder import network_folder

    model = network.load_model(bot)
    data, sample = network.torchscript(model), network.sample(bot)
    network.compare(network.run(model, sample), network.run_torchscript(data, sample))
    return network_folder(bot, about, "policy.pt", data)


_FORMATS = {"rlbot": _rlbot, "rlgym": _rlbot, "onnx": _onnx, "torchscript": _torchscript}


def _short(timesteps: int) -> str:
    """5M for 5,000,000, 250k for 250,000."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if timesteps >= unit:
            return f"{round(timesteps / unit, 1 if timesteps < 100 * unit else None):g}{letter}"
    return str(timesteps)


def _rating(bot: "Bot") -> Mapping[str, Any] | None:
    """Rating and standard error by team size, if the run has rated the checkpoint."""
    try:
        rated = json.loads((bot.path.parent.parent / "ratings.json").read_bytes())["ratings"]
        found = {
            team: versions[str(bot.timesteps)] for team, versions in rated.items() if str(bot.timesteps) in versions
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found or None


if __name__ == "__main__":
    command.run(main, "export")
