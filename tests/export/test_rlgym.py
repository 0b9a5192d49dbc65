"""format=rlgym: a folder for rlgym-rlbot, in an environment of its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rlbot.policy import Bot
from tests.export.chaser import chaser
from tests.export.conftest import exported
from tests.export.game import MATCH_PADS, Game
from tests.export.server import Server, flat


@pytest.mark.slow  # its packages take half a minute to install
def test_it_sees_what_it_saw_in_training(trained: Bot, rlgym_python: Path, tmp_path: Path) -> None:
    """All but wheels in the air and the time since a jump, which rlgym-compat knows less exactly; boost pads included,
    whose timers it fills the other way round."""
    home = exported(tmp_path / "folder", trained, rlgym=True)
    done = subprocess.run(
        [str(rlgym_python), "bot.py", "--self-test"], cwd=home, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "896 packets; 112 observations; 171 of 180 numbers compared\n[OK] It sees what it was trained to see\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("action_delay", [0, 1])
def test_it_plays_like_the_policy(
    rlgym_python: Path, tmp_path: Path, start: Callable[..., Server], action_delay: int
) -> None:
    """A bot that stays on the ground, where rlgym-compat is exact."""
    bot = chaser(tmp_path, f"env.action_delay={action_delay}")
    game = Game(bot)
    home = exported(tmp_path / "folder", bot, rlgym_python, rlgym=True)
    server = start(home, game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    game.kickoff(server.exchange, frames=460)  # it acts from the 440th frame on
    game.first_acted_in_countdown()
    for _ in game.ticks(server.exchange, 1200):
        pass
    assert game.decisions >= 100 and game.differences == []
    server.send(flat.DisconnectSignal())
    assert server.status() == 0, server.text()
