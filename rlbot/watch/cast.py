"""Who plays in front of the watcher: two named players, or the newest version of a run, again and again."""

import time
from pathlib import Path

from rlbot.policy import load
from rlbot.rating.matches import Player, common_timing, player_name
from rlbot.run import resolve_resume
from rlbot.watch.live import Cast

_PAUSE = 2.0  # s between two looks at a run


def player(value: str, setting: str) -> Player:
    """ "random", "idle", or the bot of a checkpoint or run. Raises ValueError naming `setting`."""
    return value if value in ("random", "idle") else load(value, setting=setting)  # type: ignore[return-value]


def cast(checkpoint: str, opponent: str | None) -> Cast:
    """Raises ValueError for what cannot be loaded, and for two bots of another pace."""
    blue = player(checkpoint, "checkpoint")
    return _cast(blue, blue if opponent is None else player(opponent, "opponent"))


def _cast(blue: Player, orange: Player, title: str = "") -> Cast:
    pace = common_timing([("checkpoint", blue), ("opponent", orange)])
    return Cast((blue, orange), (player_name(blue), player_name(orange)), title, *pace)


class Follower:
    """The newest version of a run: `newest()` is a Cast where there is another one than before, else None."""

    def __init__(self, run: str, opponent: str | None) -> None:
        """Raises ValueError if there is no such run, or if the opponent cannot be loaded."""
        self._run = run
        self._opponent = None if opponent is None else player(opponent, "opponent")
        self._shown: Path | None = None
        self._looked = 0.0

    def first(self) -> Cast:
        """Whom to begin with: chance, as long as there is no checkpoint."""
        found = self._find()
        return found or _cast("random", self._opponent or "random", f"{self._run}: no checkpoint yet, so random play")

    def newest(self) -> Cast | None:
        if time.monotonic() - self._looked < _PAUSE:
            return None
        try:
            return self._find()
        except (ValueError, OSError):  # it is being written, or was deleted: the next one will do
            return None

    def _find(self) -> Cast | None:
        self._looked = time.monotonic()
        try:
            path = resolve_resume(self._run, Path("outputs"), "run").checkpoint
        except ValueError as error:
            if "no intact checkpoint" in str(error):
                return None
            raise
        if path == self._shown:
            return None
        bot = load(path, setting="run")
        self._shown = path
        return _cast(bot, self._opponent or bot, f"{bot.timesteps:,} timesteps")
