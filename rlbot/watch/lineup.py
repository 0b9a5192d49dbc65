"""Who plays in a live match: two given players, or always the newest version of a run."""

import time
from pathlib import Path

from rlbot.policy import Bot, load
from rlbot.rating.matches import Player, check_teams, common_engine, common_timing, player_name
from rlbot.run import resolve_resume
from rlbot.run.directory import LATEST
from rlbot.values.target import PartError
from rlbot.watch.live import Lineup

_CHECK_INTERVAL = 2.0  # s between two checks for a newer checkpoint


def lineup(blue: Player, orange: Player | None, title: str = "", largest_team: int = 1) -> Lineup:
    """`orange` None: the same player. `largest_team`: cars of the larger team. Raises ValueError if the tick_skip or
    action_delay of two bots differ, or a bot sees too little for such a team."""
    orange = blue if orange is None else orange
    players = [("checkpoint", blue), ("opponent", orange)]
    check_teams(players, largest_team)
    pace, engine = common_timing(players), common_engine(players)
    return Lineup((blue, orange), (player_name(blue), player_name(orange)), title, *pace, engine)


class RunFollower:
    """Plays the newest version of a run, against `opponent` or against itself."""

    def __init__(self, run: str, opponent: Player | None, largest_team: int = 1) -> None:
        """`run` "latest" may begin later; another run has to be there, or `first` raises ValueError."""
        self._run = run
        self._opponent, self._largest_team = opponent, largest_team
        self._shown: Path | None = None
        self._last_check = 0.0

    @property
    def found(self) -> bool:
        """Whether there was a checkpoint."""
        return self._shown is not None

    def first(self) -> Lineup:
        """Returns the newest version, or a random player if the run has no checkpoint yet."""
        title = f"run={self._run}: no checkpoint yet, so random play until there is one"
        bot = self._find()
        return lineup("random", self._opponent or "random", title) if bot is None else self._lineup(bot)

    def newest(self) -> Lineup | None:
        """Returns the newest version if it is another one than before, else None. Raises PartError if it cannot play
        here."""
        if time.monotonic() - self._last_check < _CHECK_INTERVAL:
            return None
        try:
            bot = self._find()
        except (ValueError, OSError):  # it was deleted, or is not complete: the next check finds another one
            return None
        try:
            return None if bot is None else self._lineup(bot)
        except ValueError as error:
            raise PartError(str(error)) from error

    def _lineup(self, bot: Bot) -> Lineup:
        return lineup(bot, self._opponent or bot, f"{bot.timesteps:,} timesteps", self._largest_team)

    def _find(self) -> Bot | None:
        self._last_check = time.monotonic()
        try:
            path = resolve_resume(self._run, Path("outputs"), "run").checkpoint
        except ValueError as error:
            may_come = "no intact checkpoint" in str(error) or self._run == LATEST
            if may_come:
                return None
            raise
        if path == self._shown:
            return None
        bot = load(path, setting="run")
        self._shown = path
        return bot
