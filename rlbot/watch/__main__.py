"""`python -m rlbot.watch`: shows a live or a recorded match in the browser, or exports a recorded one."""

import threading
import webbrowser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rlbot.settings import command
from rlbot.settings.errors import building
from rlbot.settings.forms import PlayerConfig
from rlbot.settings.schema import WatchConfig

if TYPE_CHECKING:
    from rlbot.rating.matches import Player
    from rlbot.watch.live import LiveMatch


def main(config: WatchConfig, directory: Path) -> None:
    """Serves the viewer until Ctrl-C, or writes the export."""
    command.Guard.clean()  # removes the directory that Hydra made: this command writes nothing into it
    if config.export is not None:
        return _export(config)
    # Imported here because they are slow: errors in the settings are reported before.
    from rlbot.recording import load
    from rlbot.watch import page
    from rlbot.watch.server import Content, serving
    from rlbot.watch.stream import playing

    with suppress(KeyboardInterrupt), ExitStack() as stack:
        with building():
            recording = None if config.recording is None else load(config.recording)
            match = _live(config, stack) if recording is None else None
            files = page.content(config.collision_meshes, recording)
            server = stack.enter_context(serving(Content(files, match), config.watch.host, config.watch.port))
        if match is not None:
            match.start()
            stack.callback(match.close)
        elif recording is not None and config.watch.stream is not None:
            stack.enter_context(playing(recording))
        print(f"[OK] Watch at {server.url} (Ctrl-C ends it)", flush=True)
        if engine := match.engine if match else recording and recording.header.get("engine"):
            print(f"[OK] Engine: {engine}", flush=True)
        if config.watch.browser:
            webbrowser.open(server.url)
        threading.Event().wait()
    print("[OK] Ended", flush=True)


def _live(config: WatchConfig, stack: ExitStack) -> "LiveMatch":
    from rlbot.sim import built, load_meshes
    from rlbot.watch.lineup import RunFollower, lineup
    from rlbot.watch.live import LiveMatch
    from rlbot.watch.stream import RocketSimVis

    for engine in built():  # a bot plays on the one that it was trained on
        load_meshes(config.collision_meshes, engine)
    blue, orange = _player(config.checkpoint, "checkpoint"), _player(config.opponent, "opponent")
    sizes = config.team_size, config.opponent_team_size or config.team_size
    follower = None if config.run is None else RunFollower(config.run, orange, max(sizes))
    first = follower.first() if follower else lineup(blue or "random", orange, largest_team=max(sizes))
    if follower and not follower.found:
        print(f"[WARN] {first.title}", flush=True)
    visualiser = None if config.watch.stream is None else stack.enter_context(RocketSimVis())
    return LiveMatch(
        first,
        sizes,
        config.deterministic,
        config.seed,
        next_lineup=follower.newest if follower else lambda: None,
        show=visualiser.show if visualiser else None,
    )


def _player(config: PlayerConfig | None, setting: str) -> "Player | None":
    from rlbot.rating.matches import load_player

    return None if config is None else load_player(config.name, config.target, setting)


def _export(config: WatchConfig) -> None:
    from rlbot.recording import load
    from rlbot.watch.export import export

    assert config.recording is not None and config.export is not None
    with building():
        size = export(load(config.recording), Path(config.export), config.collision_meshes)
    print(f"[OK] Written: {config.export} ({size / 1e6:.1f} MB)", flush=True)


if __name__ == "__main__":
    command.run(main, "watch")
