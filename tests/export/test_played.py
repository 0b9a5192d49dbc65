"""An exported folder as RLBot runs it: its own environment, its own process, packets over a socket."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from rlbot.env import ACTION_TABLE
from rlbot.export.capture import Capture
from rlbot.export.self_play import PACKET_SLOTS, PLAYER_IDS
from rlbot.policy import Bot, load
from rlbot.rating.matches import Conditions, Pairing, play
from rlbot.sim import CarPlacement, Placement
from tests.export.chaser import chaser
from tests.export.conftest import exported
from tests.export.game import ACTIVE, ENDED, MATCH_PADS, PAUSED, Game
from tests.export.server import ORDERS, Server, flat
from tests.policy.test_bot import write as write_checkpoint

Start = Callable[..., Server]


def test_it_plays_like_the_policy_in_the_simulator(trained: Bot, bot_folder: Path, start: Start) -> None:
    rng = np.random.default_rng(0)
    game = Game(trained, (2, 2), 2, lambda tick, observation: ACTION_TABLE[rng.integers(90)])
    server = start(bot_folder, game.player_id, game.team, MATCH_PADS)
    settings = server.shake_hands(ORDERS[1])
    assert (settings.agent_id, settings.close_between_matches) == ("rlbot-trainer/tested", True)
    game.kickoff(server.exchange)
    for _ in game.ticks(server.exchange, 1600):
        pass
    assert game.decisions > 100
    assert all(each.explained for each in game.differences), game.differences
    assert len(game.differences) <= 0.01 * game.decisions, game.differences
    server.send(flat.DisconnectSignal())
    assert server.status() == 0, server.text()
    assert "ERROR" not in server.text()


def test_at_another_pace_with_other_actions(bot_python: Path, tmp_path: Path, start: Start) -> None:
    """A decision every 4 ticks that takes effect 3 ticks later, continuous actions, one car against two."""
    overrides = ("env.tick_skip=4", "env.action_delay=3", "model.action_head=continuous")
    bot = load(write_checkpoint(tmp_path, *overrides)[0])
    rng = np.random.default_rng(0)
    game = Game(bot, (1, 2), 0, lambda *_: ACTION_TABLE[rng.integers(90)], hold_extends_timeout=True)
    server = start(exported(tmp_path / "folder", bot, bot_python), game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    game.kickoff(server.exchange)
    for _ in game.ticks(server.exchange, 600):
        pass
    assert game.decisions >= 140 and all(each.explained for each in game.differences), game.differences
    assert len(game.differences) <= 2
    server.send(flat.DisconnectSignal())
    assert server.status() == 0, server.text()


@pytest.mark.parametrize("order", ORDERS)
def test_it_comes_up_in_whatever_order_the_server_speaks(
    bot_folder: Path, start: Start, order: tuple[str, ...]
) -> None:
    server = start(bot_folder, 7, 1, MATCH_PADS)
    server.shake_hands(order)
    server.send(flat.DisconnectSignal())
    assert server.status() == 0


def test_kickoffs_goals_replays_pauses_and_the_end(trained: Bot, bot_folder: Path, start: Start) -> None:
    """Goals are scored by throwing the ball into the goal."""
    game = Game(trained, seed=3)
    server = start(bot_folder, game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    for goal in range(3):
        game.kickoff(server.exchange)
        for _ in game.ticks(server.exchange, 100):
            pass
        for _ in range(50):
            np.testing.assert_array_equal(server.exchange(game.packet(PAUSED)), 0)
        for _ in game.ticks(server.exchange, 20):
            pass
        game.throw(goal % 2)
        for _ in game.ticks(server.exchange, 120, check=False):
            pass
        game.after_goal(server.exchange)
    assert game.goals.tolist() == [2, 1]
    assert game.decisions == 45 and game.differences == []
    for _ in range(5):
        np.testing.assert_array_equal(server.exchange(game.packet(ENDED)), 0)
    server.send(flat.DisconnectSignal())
    assert server.status() == 0, server.text()


def in_real_time(
    server: Server, game: Game, seconds: float, deliver: Callable[[int, flat.GamePacket], list[flat.GamePacket]]
) -> tuple[int, set[tuple[float, ...]]]:
    """120 packets a second, as far as this machine can; the game does not wait for the bot. Returns how many controls
    came and which ones."""
    held, came, different = np.zeros(8, np.float32), 0, set()
    began = time.monotonic()
    for tick in range(round(seconds * 120)):
        for packet in deliver(tick, game.packet(ACTIVE)):
            server.send(packet)
        time.sleep(max(began + (tick + 1) / 120 - time.monotonic(), 0))
        came += server.inputs.qsize()
        held = server.newest(held)
        different.add(tuple(held.tolist()))
        controls = np.zeros((2, 8), np.float32)
        controls[game.own] = held
        game.step(controls)
    return came, different


def test_packets_that_are_late_lost_and_doubled(trained: Bot, bot_folder: Path, start: Start) -> None:
    rng, game = np.random.default_rng(0), Game(trained)
    server = start(bot_folder, game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    game.kickoff(server.exchange)
    kept: list[flat.GamePacket] = []

    def deliver(tick: int, packet: flat.GamePacket) -> list[flat.GamePacket]:
        kind = rng.random()
        if 120 <= tick < 160 or kind < 0.2:
            return []  # a third of a second of nothing, and every fifth
        if kind < 0.4:
            return [packet, packet]
        if kind < 0.6:
            kept.append(packet)
            return []
        late = [kept.pop(0)] if kept and kind < 0.8 else []
        return [packet, *late]

    came, different = in_real_time(server, game, 8, deliver)
    assert came > 100 and len(different) > 3
    assert server.indices == {PACKET_SLOTS.index(game.slot)}, "the place in the packet, not the one it was told"
    server.send(flat.DisconnectSignal())
    assert server.status() == 0 and "ERROR" not in server.text(), server.text()


def test_it_ends_when_the_server_is_gone(trained: Bot, bot_folder: Path, start: Start) -> None:
    game = Game(trained)
    server = start(bot_folder, game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    game.kickoff(server.exchange)
    for _ in game.ticks(server.exchange, 20):
        pass
    server.hang_up()
    server.status()
    assert "disconnected" in server.text()


def test_a_match_without_it_is_told_once(trained: Bot, bot_folder: Path, start: Start) -> None:
    game = Game(trained)
    server = start(bot_folder, 99, 0, MATCH_PADS)  # nobody has this id
    server.shake_hands()
    game.play.place(Placement([CarPlacement((0, -2000, 17), 0), CarPlacement((0, 2000, 17), 0)]))
    game.capture = Capture(PLAYER_IDS)
    game._cars = game.capture.cars(game.play.state, 0, game.play.applied_by_slot())
    for _ in range(3):
        np.testing.assert_array_equal(server.exchange(game.packet(ACTIVE)), 0)
    server.send(flat.DisconnectSignal())
    assert server.status() == 0
    assert server.text().count("No player of the packet has the id 99, which is this bot's") == 1


def test_another_map_is_told(bot_folder: Path, start: Start) -> None:
    server = start(bot_folder, 7, 1, MATCH_PADS[:30])
    server.shake_hands()
    server.send(flat.DisconnectSignal())
    assert server.status() == 0
    assert "This map lacks 4 of the boost pads used in training" in server.text()


def whole_match(game: Game, server: Server, minutes: int) -> None:
    """Play time without countdowns and replays, in step with the bot."""
    left = minutes * 60 * 120
    while left:
        game.kickoff(server.exchange, frames=10)
        for _ in game.ticks(server.exchange, left):
            left -= 1
        if game.scored:
            game.after_goal(server.exchange)
    server.send(flat.DisconnectSignal())
    assert server.status() == 0 and "ERROR" not in server.text(), server.text()


@pytest.mark.slow
@pytest.mark.parametrize("opponent", ["idle", "random"])
def test_ten_minutes_of_a_bot_that_scores(
    bot_python: Path, tmp_path: Path, start: Start, opponent: Literal["idle", "random"]
) -> None:
    bot = chaser(tmp_path)
    rng = np.random.default_rng(0)
    others = {"idle": lambda *_: np.zeros(8, np.float32), "random": lambda *_: ACTION_TABLE[rng.integers(90)]}
    game = Game(bot, other=others[opponent])
    server = start(exported(tmp_path / "folder", bot, bot_python), game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    whole_match(game, server, 10)
    assert game.decisions >= 9000 - 200 and game.differences == []
    conditions = Conditions(1, 1, 60.0, deterministic=True)
    (evaluated,) = play([bot, opponent], [Pairing(0, 1, 60)], conditions)
    for ours, theirs in zip(game.goals, evaluated.goals.sum(0) / 60, strict=True):  # goals a minute
        # Goals come at random: of a count n the 99.9% interval is about n + 5 +- 3.3 sqrt(n + 1).
        assert abs(ours - 10 * theirs) < 5 + 3.3 * np.sqrt(10 * theirs + 1), (game.goals, evaluated.goals.sum(0))


@pytest.mark.slow
def test_ten_minutes_of_a_bot_that_jumps_about(trained: Bot, bot_folder: Path, start: Start) -> None:
    """2 against 2, the others at random: at least 99.9% of the decisions are the same, and every difference is
    explained by what the game does not tell."""
    rng = np.random.default_rng(0)
    game = Game(trained, (2, 2), 1, lambda *_: ACTION_TABLE[rng.integers(90)])
    server = start(bot_folder, game.player_id, game.team, MATCH_PADS)
    server.shake_hands()
    whole_match(game, server, 10)
    assert game.decisions >= 8900
    assert len(game.differences) <= 0.001 * game.decisions, game.differences
    assert all(each.explained for each in game.differences), game.differences
