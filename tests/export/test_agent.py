"""The program of an exported folder, piece by piece: what it sees and when it acts."""

import copy
from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE, reset
from rlbot.env.observation import columns
from rlbot.env.observations import DEFAULT, SIX_CARS, Observation
from rlbot.export.capture import Capture, rotator
from rlbot.export.folder import BotInfo, manifest, weights
from rlbot.export.self_play import PACKET_PADS, PACKET_SLOTS, PLAYER_IDS, SIX_PACKET_SLOTS, SIX_PLAYER_IDS, Play
from rlbot.export.template.agent.geometry import directions, inside, on_ground
from rlbot.export.template.agent.network import Network
from rlbot.export.template.agent.observation import observe
from rlbot.export.template.agent.pilot import ACTIVE, COUNTDOWN, KICKOFF, PAUSED, Pilot
from rlbot.export.template.agent.recording import CAR_COLUMNS, Plain, controller, field_info, packet
from rlbot.export.template.agent.tracker import Tracker
from rlbot.policy import Bot, load
from rlbot.sim import PAD_COOLDOWN, PAD_POSITION
from tests.policy.test_bot import HEADS, observations
from tests.policy.test_bot import write as write_checkpoint

PADS = [(float(x), float(y), float(c)) for (x, y), c in zip(PAD_POSITION, PAD_COOLDOWN, strict=True)]
FLATS = [pytest.param(Plain(), id="plain")]
try:
    import rlbot_flatbuffers

    FLATS.append(pytest.param(rlbot_flatbuffers, id="flatbuffers"))
except ImportError:
    pass


def car(player_id: int = 5, team: int = 0, **changes: float) -> NDArray[np.float32]:
    """A row of a packet: a car at rest in the middle."""
    values = {"player_id": player_id, "team": team, "z": 17.0, "dodge_timeout": -1.0, "demolished_timeout": -1.0}
    return np.array([{**values, **changes}.get(name, 0.0) for name in CAR_COLUMNS], np.float32)


def shown(
    *cars: NDArray[np.float32],
    frame: int = 0,
    phase: int = ACTIVE,
    ball: tuple[float, ...] | None = (0, 0, 93, 0, 0, 0, 0, 0, 0),
    pads: NDArray[np.float32] | None = None,
) -> Any:
    pads = np.tile(np.float32([1, 0]), (34, 1)) if pads is None else pads
    return packet(Plain(), frame, phase, None if ball is None else np.float32(ball), pads, np.stack(cars))


def tracker(pads: list[tuple[float, float, float]] = PADS) -> Tracker:
    return Tracker(PADS, field_info(Plain(), pads).boost_pads)


def seen(tracked: Tracker, name: str, player_id: int = 5) -> Any:
    """What a car observes under this name."""
    values = observe(tracked, player_id, [0.0] * 8)[columns(name)]
    return values[0] if len(values) == 1 else values


@pytest.mark.parametrize("flat", FLATS)
@pytest.mark.parametrize(
    ("sizes", "hold_extends_timeout", "observation"),
    [
        ((1, 1), False, DEFAULT), ((1, 2), True, DEFAULT), ((2, 2), False, DEFAULT),
        ((3, 3), False, SIX_CARS), ((2, 3), True, SIX_CARS), ((2, 1), False, SIX_CARS),
    ],
)  # fmt: skip
def test_every_car_sees_what_it_would_see_in_training(
    sizes: tuple[int, int], hold_extends_timeout: bool, observation: Observation, flat: Any
) -> None:
    """Whatever RLBot's dodge_timeout is. One thing is not always known: the wheels of a car that jumps or dodges near a
    goal post or an edge of the walls."""
    rng, play, few = np.random.default_rng(0), Play(sizes, observation), observation == DEFAULT
    ids, order = (PLAYER_IDS, PACKET_SLOTS) if few else (SIX_PLAYER_IDS, SIX_PACKET_SLOTS)
    names = [name for name, size in observation.columns for _ in range(size)]
    cars, compared, unsure = len(play.slots), 0, 0
    for kind in ("kickoff", "near_ball", "airborne", "anywhere"):
        play.place(reset.draw(rng, {kind: 1.0}, play.arenas.team_sizes[0]))
        capture, tracked = Capture(ids, hold_extends_timeout), tracker([PADS[i] for i in PACKET_PADS])
        chosen = rng.integers(90, size=cars)
        for tick in range(200):
            if tick % 8 == 0:
                chosen = np.where(rng.random(cars) < 0.5, rng.integers(90, size=cars), chosen)
            row = capture.cars(play.state, 0, play.applied_by_slot())[order]
            pads = capture.pads(play.state, 0)[PACKET_PADS]
            tracked.update(packet(flat, tick, ACTIVE, capture.ball(play.state, 0), pads, row), min(tick, 1))
            play.decided[:] = rng.random((cars, 8))
            expected = play.observe()
            for i, slot in enumerate(play.slots):
                found = observe(tracked, int(ids[slot]), play.decided[i].tolist(), observation.size)
                wrong = {names[k] for k in np.flatnonzero(np.abs(found - expected[i]) > 1e-5)}
                assert {name.partition(".")[2] for name in wrong} <= {"on_ground", "has_flip"}, (tick, wrong)
                unsure, compared = unsure + bool(wrong), compared + 1
            play.step(ACTION_TABLE[chosen])
    assert unsure < 0.01 * compared


@pytest.mark.parametrize("sign", [1, -1])
def test_pads_are_told_by_their_place_and_count_down(sign: int) -> None:
    order = np.random.default_rng(0).permutation(34)
    moved = [(PADS[i][0] + 2, PADS[i][1] - 2, PADS[i][2]) for i in order]
    rows = np.tile(np.float32([1, 0]), (34, 1))
    small, big = 5, 3  # (-940, -3308) and (-3072, -4096)
    rows[order.tolist().index(small)] = 0, 1.0  # picked up a second ago, out of 4
    rows[order.tolist().index(big)] = 0, 3.0  # out of 10
    tracked = tracker(moved)
    assert tracked.missing_pads == []
    tracked.update(shown(car(team=int(sign < 0)), pads=rows), 0)
    expected = np.zeros(34)
    expected[small], expected[big] = 0.75, 0.7
    np.testing.assert_allclose(seen(tracked, "pads.timer"), expected[::sign], atol=1e-6)


def test_pads_that_a_map_lacks_are_named() -> None:
    tracked = tracker([*PADS[2:], (500.0, 500.0, 4.0)])
    assert tracked.missing_pads == [PADS[0][:2], PADS[1][:2]]
    rows = np.tile(np.float32([0, 1]), (33, 1))
    tracked.update(shown(car(), pads=rows), 0)
    assert (seen(tracked, "pads.timer")[:3] == np.float32([0, 0, 0.75])).all()


def test_the_handbrake_follows_its_button() -> None:
    tracked = tracker()
    for frame, ticks, pressed, expected in [
        (0, 0, 1, 0.0),
        (1, 1, 1, 5 / 120),
        (7, 6, 1, 35 / 120),
        (10, 3, 0, 29 / 120),
    ]:
        tracked.update(shown(car(handbrake=pressed), frame=frame), ticks)
        assert seen(tracked, "car.handbrake") == pytest.approx(expected, abs=1e-6)
    tracked.update(shown(car(handbrake=1)), 500)
    assert seen(tracked, "car.handbrake") == 1


def test_the_time_since_a_jump_is_counted_from_its_end() -> None:
    jumping, falling, flipping = ({"has_jumped": 1, "air_state": state, "z": 500} for state in (1, 4, 3))
    tracked = tracker()
    told = [(car(), 0), (car(**jumping), 1), (car(**jumping), 12), (car(**falling), 1), (car(**falling), 14)]
    for row, ticks in told:
        tracked.update(shown(row), ticks)
    assert seen(tracked, "car.air_time_since_jump") == pytest.approx(15 / 120 / 1.25)
    assert (seen(tracked, "car.has_jumped"), seen(tracked, "car.has_flip")) == (1, 1)
    after = copy.deepcopy(tracked)
    after.update(shown(car(**flipping, has_dodged=1)), 1)
    assert (seen(after, "car.has_flipped"), seen(after, "car.has_flip")) == (1, 0)
    tracked.update(shown(car(**falling)), 135)
    assert (seen(tracked, "car.air_time_since_jump"), seen(tracked, "car.has_flip")) == (1, 0)
    tracked.update(shown(car()), 1)
    assert (seen(tracked, "car.air_time_since_jump"), seen(tracked, "car.has_flip")) == (0, 1)


def test_a_car_that_is_met_in_the_air() -> None:
    tracked = tracker()
    tracked.update(shown(car(has_jumped=1, air_state=4, dodge_timeout=0.5, z=500)), 0)
    assert seen(tracked, "car.air_time_since_jump") == pytest.approx(0.75 / 1.25)
    tracked = tracker()
    tracked.update(shown(car(has_jumped=1, air_state=4, dodge_timeout=-1, z=500)), 0)
    assert seen(tracked, "car.has_flip") == 0
    tracked = tracker()
    tracked.update(shown(car(air_state=4, z=500)), 0)  # it fell, and has all its jumps
    assert seen(tracked, "car.has_flip") == 1


def test_a_demolished_car_stays_as_it_was() -> None:
    tracked = tracker()
    tracked.update(shown(car(handbrake=1), car(6, 1, x=500, vx=100)), 0)
    tracked.update(shown(car(handbrake=1), car(6, 1, x=500, vx=900, demolished_timeout=3)), 6)
    tracked.update(shown(car(demolished_timeout=3, handbrake=1), car(6, 1, x=0, z=0, demolished_timeout=2.5)), 60)
    assert (seen(tracked, "opponent_1.demoed"), seen(tracked, "car.is_demoed")) == (1, 1)
    np.testing.assert_allclose(seen(tracked, "opponent_1.vel"), np.float32([900, 0, 0]) / 2300)
    np.testing.assert_allclose(seen(tracked, "opponent_1.pos"), np.float32([500, 0, 17]) / 2300)
    tracked.update(shown(car(x=1000), car(6, 1)), 300)
    assert (seen(tracked, "car.demo_timer"), seen(tracked, "car.handbrake")) == (0, 0)


def test_a_ball_that_is_gone_stays_where_it_was_seen() -> None:
    tracked = tracker()
    tracked.update(shown(car(), ball=None), 0)
    np.testing.assert_allclose(seen(tracked, "ball.pos"), np.float32([0, 0, 92.75]) / 2300)
    tracked.update(shown(car(), ball=(1, 2, 3, 4, 5, 6, 7, 8, 9)), 1)
    tracked.update(shown(car(), ball=None), 1)
    np.testing.assert_allclose(seen(tracked, "ball.pos"), np.float32([1, 2, 3]) / 2300)


def places(tracked: Tracker, player_id: int) -> list[float]:
    """x of mate and opponents, 0 for nobody."""
    seats = ("mate", "opponent_1", "opponent_2")
    return [round(float(seen(tracked, f"{seat}.pos", player_id)[0]) * 2300) for seat in seats]


def test_who_stands_where() -> None:
    tracked = tracker()
    tracked.update(shown(car(1, 0, x=100), car(2, 1, x=200), car(3, 0, x=300), car(4, 1, x=400)), 0)
    assert places(tracked, 1) == [300, 200, 400]
    assert places(tracked, 3) == [100, 400, 200]  # the second of its team sees their second first
    assert places(tracked, 2) == [-400, -100, -300]
    tracked.update(shown(car(3, 0, x=300), car(4, 1, x=400), car(1, 0, x=100)), 1)
    assert places(tracked, 1) == [300, 0, 400]
    assert places(tracked, 3) == [100, 400, 0]
    tracked.update(shown(car(1, 0, x=100)), 1)
    assert places(tracked, 1) == [0, 0, 0]


def test_of_many_cars_the_nearest_count() -> None:
    blue = [car(i, 0, x=x) for i, x in ((1, 50), (2, 3000), (3, -500))]
    orange = [car(i, 1, x=x) for i, x in ((4, 900), (5, 100), (6, -200))]
    tracked = tracker()
    tracked.update(shown(*blue, *orange), 0)
    assert places(tracked, 1) == [-500, 100, -200]
    assert places(tracked, 2) == [50, 100, 900]  # the second, beside its mate


@pytest.mark.parametrize("angles", [(0.3, -2.0, 1.0), (pi / 2, 1.0, 2.0), (-pi / 2 + 1e-5, 3.0, -3.0), (0, pi, pi)])
def test_rotations_come_back_exactly(angles: tuple[float, float, float]) -> None:
    axes = [tuple(np.float32(axis).tolist()) for axis in directions(*angles)]
    again = directions(*np.float32(rotator(*axes)).tolist())  # type: ignore[arg-type]
    np.testing.assert_allclose(again, axes, atol=5e-7)


def test_wheels_on_floor_wall_ceiling_and_curve() -> None:
    level, on_wall, upside_down = directions(0, 0, 0), directions(pi / 2, 0, 0), directions(0, 0, pi)
    assert on_ground((0, 0, 17), *level) and on_ground((0, 0, 27), *level) and not on_ground((0, 0, 29), *level)
    assert on_ground((4096 - 17, 0, 1000), *on_wall) and not on_ground((4096 - 40, 0, 1000), *on_wall)
    assert on_ground((0, 0, 2048 - 17), *upside_down) and not on_ground((0, 0, 17), *upside_down)
    slope = directions(pi / 4, 0, 0)  # on the curve from floor to wall, whose middle is at (4021, 75)
    assert on_ground((4021 - 12, 0, 75 + 12), *slope) and not on_ground((4021 - 40, 0, 75 + 40), *slope)
    assert inside(0, 5300, 50) and not inside(1000, 5130, 300) and not inside(0, 5300, -1)


@pytest.fixture
def make(trained: Bot) -> Callable[..., Pilot]:
    """Pilots of the policy with opinions, at any pace."""
    document = manifest(trained, BotInfo("Tested", "nobody"))
    network = Network(document["network"], weights(trained), document["action_table"])

    def pilot(tick_skip: int = 8, action_delay: int = 0, deterministic: bool = True) -> Pilot:
        return Pilot(network, tracker(), tick_skip, action_delay, deterministic, seed=0)

    return pilot


def moving(frame: int, phase: int = ACTIVE) -> Any:
    """Packets in which everything is different every time."""
    rng = np.random.default_rng(frame)
    x, vx, yaw = rng.uniform(-3000, 3000), rng.uniform(-2000, 2000), rng.uniform(-3, 3)
    return shown(car(x=x, vx=vx, yaw=yaw), frame=frame, phase=phase)


@pytest.mark.parametrize(("tick_skip", "action_delay"), [(8, 0), (8, 7), (4, 1), (1, 0)])
def test_it_decides_every_tick_skip_and_acts_after_the_delay(
    make: Callable[..., Pilot], tick_skip: int, action_delay: int
) -> None:
    pilot, decided = make(tick_skip, action_delay, False), [np.zeros(8)]
    for i in range(5 * tick_skip):
        told = pilot.controls(moving(100 + i), 5)
        if i % tick_skip == 0:
            assert pilot.observation is not None
            np.testing.assert_array_equal(pilot.observation[columns("previous_action")], decided[-1])
            decided.append(pilot.decided)
        np.testing.assert_array_equal(told, decided[-1] if i % tick_skip >= action_delay else decided[-2])
    assert pilot.decisions == 5 and len({tuple(each) for each in decided}) > 2


def test_packets_that_come_twice_late_or_not_at_all(make: Callable[..., Pilot]) -> None:
    pilot = make()
    for frame in (100, 101, 101, 102, 99, 107):
        held = pilot.controls(moving(frame), 5)
    assert pilot.decisions == 1
    np.testing.assert_array_equal(pilot.controls(moving(100), 5), held)
    pilot.controls(moving(113), 5)  # 108 to 112 are lost: it decides at once
    assert pilot.decisions == 2
    pilot.controls(moving(120), 5)
    assert pilot.decisions == 2
    pilot.controls(moving(121), 5)
    assert pilot.decisions == 3
    pilot.controls(moving(1), 5)  # another match
    assert pilot.decisions == 4 and pilot.observation is not None
    assert not pilot.observation[columns("previous_action")].any()


def test_the_phases_of_a_match(make: Callable[..., Pilot]) -> None:
    pilot = make()
    for frame in range(100, 140):
        assert pilot.controls(moving(frame, COUNTDOWN), 5)[5] == 0, "jump"
    pilot.controls(moving(140, KICKOFF), 5)
    decisions, first = pilot.decisions, pilot.observation
    assert first is not None and not first[columns("previous_action")].any()
    for frame in range(141, 148):
        pilot.controls(moving(frame, ACTIVE), 5)
    assert pilot.decisions == decisions, "the kickoff goes over into play"
    for frame in range(148, 248):  # 148 was still played
        assert not pilot.controls(moving(frame, PAUSED), 5).any()
    pilot.controls(moving(248, ACTIVE), 5)
    assert pilot.decisions == decisions + 1 and pilot.observation is not None
    assert pilot.observation[columns("previous_action")].any(), "it goes on where it was"
    for frame, phase in ((249, 4), (250, 5), (251, 7), (252, 0)):
        assert not pilot.controls(moving(frame, phase), 5).any()
    assert pilot.decisions == decisions + 1


def test_the_own_car_is_found_by_its_id(make: Callable[..., Pilot]) -> None:
    pilot = make(1)
    for frame, order in ((1, (5, 6)), (2, (6, 5))):
        pilot.controls(shown(*(car(each, each - 5, x=100 * each) for each in order), frame=frame), 5)
        assert pilot.observation is not None
        assert pilot.observation[columns("car.pos")][0] == pytest.approx(500 / 2300)
    with pytest.raises(KeyError):
        pilot.controls(shown(car(6), frame=3), 5)


def exported_network(bot: Bot) -> Network:
    document = manifest(bot, BotInfo("Tested", "nobody"))
    return Network(document["network"], weights(bot), document["action_table"])


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu", "gelu", "leaky_relu", "silu"])
@pytest.mark.parametrize("layer_norm", ["true", "false"])
def test_the_network_computes_what_the_policy_computes(tmp_path: Any, activation: str, layer_norm: str) -> None:
    path, model = write_checkpoint(tmp_path, f"model.activation={activation}", f"model.layer_norm={layer_norm}")
    rows, network = observations(), exported_network(load(path))
    with torch.inference_mode():
        expected = model.actor_logits(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose([network.logits(row) for row in rows], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_the_likeliest_and_the_drawn_actions_of_every_head(tmp_path: Any, head: str) -> None:
    bot = load(write_checkpoint(tmp_path, f"model.action_head={head}")[0])
    rows, network = observations(), exported_network(bot)
    found = [network.likeliest(network.logits(row)) for row in rows]
    np.testing.assert_allclose(found, bot.act(rows, deterministic=True), atol=1e-5)
    logits, generator = network.logits(rows[0]), np.random.default_rng(0)
    drawn = np.array([network.draw(logits, generator) for _ in range(4000)])
    theirs = bot.act(np.repeat(rows[:1], 4000, axis=0))
    np.testing.assert_allclose(drawn.mean(0), theirs.mean(0), atol=0.06)
    np.testing.assert_allclose(drawn.std(0), theirs.std(0), atol=0.06)


def test_an_unknown_activation_is_named(trained: Bot) -> None:
    document = manifest(trained, BotInfo("Tested", "nobody"))
    network = Network({**document["network"], "activation": "mish"}, weights(trained), document["action_table"])
    with pytest.raises(ValueError, match="mish"):
        network.logits(observations(1)[0])


def test_controls_are_told_as_rlbot_takes_them() -> None:
    told = vars(controller(Plain(), [1, -0.5, 0.25, 0, -1, 1, 0, 0.5]))
    assert list(told.values()) == [1, -0.5, 0.25, 0, -1, True, False, True]
    assert list(told) == ["throttle", "steer", "pitch", "yaw", "roll", "jump", "boost", "handbrake"]
