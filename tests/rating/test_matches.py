"""Matches: who is blue, goals for whom, and that only players, conditions and seed decide how they go."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.env.counts import COUNTS
from rlbot.env.observation import OBSERVATION_SIZE, columns
from rlbot.policy import Bot, Network
from rlbot.policy.own_network import OwnNetwork
from rlbot.rating import matches
from rlbot.rating.matches import Conditions, Pairing, common_timing, play
from rlbot.recording.recording import from_bytes
from rlbot.reward import Reward
from rlbot.values.target import Target

LEFT, AHEAD, RIGHT = (int(np.flatnonzero(([1, s, 0, s, 0, 0, 1, 0] == ACTION_TABLE).all(1))[0]) for s in (-1, 0, 1))


def driver(certainty: float, tick_skip: int = 8) -> Bot:
    """A bot that boosts after the ball, with log odds of `certainty` for going straight ahead over everything else, and
    of more for turning where the ball is aside."""
    network = Network(OBSERVATION_SIZE, (2,), False, "relu", "table")
    aside = columns("ball.local_pos").start + 1
    hidden = np.zeros((2, OBSERVATION_SIZE), np.float32)
    hidden[:, aside] = -1, 1  # how far the ball is to the left, to the right
    output, bias = np.zeros((90, 2), np.float32), np.zeros(90, np.float32)
    output[LEFT, 0] = output[RIGHT, 1] = 20 * certainty
    bias[AHEAD] = certainty
    weights = np.empty(network.size(), np.float32)
    tensors = {"linears.0.weight": hidden, "linears.0.bias": np.zeros(2, np.float32)}
    tensors = {f"actor_trunk.{name}": array for name, array in tensors.items()}
    network.vector({**tensors, "actor_output.weight": output, "actor_output.bias": bias}, weights)
    return Bot(network, weights, tick_skip, 0, 1000, Path("driver"))


def test_goals_count_for_who_scored_them_from_either_side() -> None:
    """Who drives at the ball scores now and then against a car that does not move, and seldom an own goal."""
    (results,) = play([driver(50), "idle"], [Pairing(0, 1, 24)], Conditions(1, 1, seconds=20.0, engine="rocketsim2"))
    assert results.first_is_blue.tolist() == [True] * 12 + [False] * 12
    scored, conceded = results.goals.T
    assert scored.sum() > 5 > conceded.sum()
    assert (scored[:12].max(), scored[12:].max()) >= (1, 1), "as blue and as orange"
    assert scored.max() > 1, "play goes on after a goal"
    np.testing.assert_array_equal(results.count("conceded"), results.goals[:, ::-1])
    wins, draws, losses = results.outcomes
    assert (wins, draws) == ((scored > conceded).sum(), (scored == conceded).sum()) and wins + draws + losses == 24
    assert (results.count("steps") == 20 * 15).all(), "15 steps a second, the full time"
    assert results.count("speed")[:, 0].min() > 500 * 300 > results.count("speed")[:, 1].max()
    assert results.count("boost_used")[:, 0].min() >= 33 and (results.count("boost_used")[:, 1] == 0).all()


def test_how_matches_are_spread_over_processes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    players = [driver(3), "random", driver(1)]
    pairings = [Pairing(0, 1, 5), Pairing(2, 0, 4)]
    conditions = Conditions(2, 1, seconds=6.0, seed=7)
    told: list[int] = []
    once = play(players, pairings, conditions, progress=told.append)
    assert told == [5, 9]
    monkeypatch.setattr(matches, "CHUNK", 2)
    spread = play(players, pairings, conditions, workers=2)
    for a, b in zip(once, spread, strict=True):
        np.testing.assert_array_equal(a.counts, b.counts)
    assert once[0].counts.shape == (5, 2, len(COUNTS)) and once[0].cars == (2, 1)
    assert (once[0].count("steps") == [180, 90]).all(), "two cars against one"
    other = play(players, pairings, Conditions(2, 1, seconds=6.0, seed=8))
    assert (other[0].counts != once[0].counts).any()


def test_likeliest_actions_leave_only_the_kickoffs_to_chance() -> None:
    pairing = [Pairing(0, 1, 12)]
    drawn = play([driver(1), "idle"], pairing, Conditions(1, 1, 4.0))[0]
    likeliest = play([driver(1), "idle"], pairing, Conditions(1, 1, 4.0, deterministic=True))[0]
    assert drawn.distinct() == 12 and likeliest.distinct() <= 10, "five kickoffs, two sides"


def test_bots_of_another_pace_cannot_meet() -> None:
    assert common_timing([("a", driver(1, 4)), ("b", "random"), ("c", driver(2, 4))]) == (4, 0)
    assert common_timing([("a", "idle")]) == (8, 0)
    with pytest.raises(
        ValueError, match="a was trained with tick_skip=4, c with tick_skip=8: they cannot play each other"
    ):
        common_timing([("a", driver(1, 4)), ("b", "random"), ("c", driver(1, 8))])


def test_recorded_matches_are_those_that_were_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pairing, conditions = Pairing(0, 1, 6, record=3), Conditions(1, 2, seconds=20.0)
    (plain,) = play([driver(50), "idle"], [Pairing(0, 1, 6)], conditions)
    (results,) = play([driver(50), "idle"], [pairing], conditions)
    np.testing.assert_array_equal(plain.counts, results.counts)
    assert plain.recordings == {} and list(results.recordings) == [0, 2, 4]
    for number, data in results.recordings.items():
        match = from_bytes(data, "match")
        mine, theirs = results.goals[number]
        blue = results.first_is_blue[number]
        assert match.score == ((mine, theirs) if blue else (theirs, mine))
        assert len(match.slots) == 3 and match.seconds == pytest.approx(20.0)
        goals = [event for event in match.events if event.kind == "goal"]
        assert len(goals) == mine + theirs
        cuts = match.ticks[1:][np.diff(match.ticks) == 0]
        assert [event.tick for event in goals] == cuts.tolist(), "every goal is followed by a kickoff"
        slot = 0 if blue else 2
        chosen = match.decisions["action"][:-1, slot]
        controls = match.decisions["controls"][:-1, slot]
        played = chosen >= 0
        np.testing.assert_array_equal(ACTION_TABLE[chosen[played]], controls[played])
        assert played.sum() == len(match) - 1 - len(goals), "nothing is chosen in the last state of an episode"
        assert match.decisions["action_probability"][0, slot] > 0.9, "the driver is certain"
        assert match.decisions["top_probabilities"][0, slot].sum() == pytest.approx(1.0, abs=0.01)
    monkeypatch.setattr(matches, "CHUNK", 2)
    (spread,) = play([driver(50), "idle"], [pairing], conditions, workers=2)
    assert spread.recordings == results.recordings


def test_traces_are_seen_by_the_first_player() -> None:
    """It drives to the right from its half, whether it is blue or orange, and who does not move stays where it is.
    In RocketSim v3 it is pushed onto a pad."""
    conditions = Conditions(1, 1, seconds=8.0, engine="rocketsim2")
    (results,) = play([driver(50), "idle"], [Pairing(0, 1, 8)], conditions, traces=True)
    assert results.traces is not None
    ball, own, other = results.traces.heat
    assert ball.sum() == own.sum() == 8 * 120 >= other.sum(), "who is demolished is nowhere"
    assert own[:30].sum() > 0 and own[30:].sum() > 0
    assert other[:30].sum() == 0 < other.sum(), "the opponent stands in the right half"
    assert results.traces.boost_count[0].tolist() == [8 * 15] * 8
    mean = results.traces.boost[1] / results.traces.boost_count[1]
    np.testing.assert_allclose(mean, 100 / 3, atol=0.5, err_msg="who does not move keeps its boost")
    assert len(results.traces.shots) == results.count("shots")[:, 0].sum()


class Counter(nn.Module):
    """Its state is the number of steps since the episode began."""

    state_size = 1

    def __init__(self, observation_size: int, num_outputs: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, observations: Tensor, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.logits.expand(len(states), -1), states[:, 0], states + 1


def test_what_a_recurrent_bot_remembers_begins_with_each_kickoff() -> None:
    network = OwnNetwork(OBSERVATION_SIZE, "table", Target("tests.rating.test_matches.Counter", {}))
    bot = Bot(network, np.zeros(network.size(), np.float32), 8, 0, 0, Path("counter"))
    env = BatchEnv([(1, 1)] * 2, Reward([]), {"kickoff": 1.0}, Rules(time_limit=None, no_touch_limit=None))
    observations, _ = env.reset(seed=0)
    cars = np.array([0, 2])  # the blue ones
    act = matches.actor(bot, False, 0, env, cars, cars)
    seen = []
    for step in range(6):
        if step == 3:  # the ball of the second arena rolls into a goal
            arrays, document = env.snapshot()
            arrays["ball"][1, :9] = [0, 5100, 93, 0, 3000, 0, 0, 0, 0]
            observations = env.restore(arrays, document)
        for _ in range(2):  # asked again in the same step, it decides anew
            act(observations[cars], step)
            given = matches.seen_by(act)
            assert given is not None and given.inputs.shape == (2, OBSERVATION_SIZE + 1)
        seen.append(given.inputs[:, -1].tolist())
        observations = env.step(np.zeros((4, 8), np.float32))[0]
    assert seen[:4] == [[0, 0], [1, 1], [2, 2], [3, 3]]
    began = env.steps[1]
    assert 0 < began < 3 and seen[5] == [5, began - 1]
