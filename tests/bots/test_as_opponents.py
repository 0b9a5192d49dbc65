"""Players that act from the state as opponents in training: in any process, and after a resume."""

from pathlib import Path

import numpy as np
import pytest

from rlbot.bots import StateBot
from rlbot.collect import Matchup
from rlbot.collect.env_shard import EnvShard
from rlbot.collect.rollout import Rollout
from rlbot.curriculum import Pool
from rlbot.env import BatchEnv, Rules
from rlbot.policy import Network
from rlbot.reward import Reward, Term
from rlbot.values.target import PartError, Target
from tests.bots.scenes import needs_weights, weights

NETWORK = Network(180, (4,), True, "relu", "table")
SIZES = [(1, 1), (1, 2), (2, 2), (1, 1), (2, 1)]
NAMES = ("wild", "tired", "Remembers")  # of the players in SOURCE
STEPS = 31  # of 4 ticks, at which Nexto is between two decisions

SOURCE = """
import numpy as np


def wild(state, cars):
    return 2 * cars.random(8) - 1


class Remembers:
    def __init__(self):
        self.calls = 0

    def reset(self):
        self.calls = 0

    def act(self, state, cars):
        self.calls += 1
        return np.full((len(cars), 8), np.sin(self.calls))


def tired(state, cars):
    return np.where(cars.ticks[:, None] > 40, np.inf, 1) * np.ones((len(cars), 8))
"""


@pytest.fixture
def bots(tmp_path: Path) -> dict[str, StateBot]:
    (tmp_path / "mine.py").write_text(SOURCE)
    own = {name: StateBot(name, Target(f"{tmp_path / 'mine.py'}:{name}", {}), name) for name in NAMES}
    return {**own, "nexto": StateBot("nexto", Target("rlbot.bots.Nexto", {"weights": weights("nexto")}), "nexto")}


def shard(bots: dict[str, StateBot], names: list[str], first: int = 0, stop: int = len(SIZES)) -> EnvShard:
    """The arenas [first, stop) of five."""
    rules = Rules(tick_skip=4, no_touch_limit=1.0)

    def make() -> BatchEnv:
        reward = Reward([Term("touch", 1.0)])
        mix = {"kickoff": 0.5, "near_ball": 0.5}
        return BatchEnv(SIZES[first:stop], reward, mix, rules, first_arena=first, engine="rocketsim2")

    vector = np.random.default_rng(0).uniform(-1, 1, NETWORK.size()).astype(np.float32)
    matchup = Matchup(NETWORK, dict.fromkeys(names, 1.0), "uniform", (False,) * len(SIZES), 0, bots)
    return EnvShard(make, matchup, vector, Pool(2, len(vector)))


def observations(played: EnvShard) -> np.ndarray:
    rollout = Rollout(STEPS, len(played.learner_cars), 180, NETWORK.action_shape, NETWORK.action_dtype)
    played.collect(rollout)
    return rollout.observations


@pytest.mark.parametrize("names", [["wild"], ["Remembers"], pytest.param(["nexto", "wild"], marks=needs_weights)])
def test_what_is_collected_depends_neither_on_the_processes_nor_on_a_resume(
    bots: dict[str, StateBot], names: list[str]
) -> None:
    whole = shard(bots, names)
    first = observations(whole)
    arrays, document = whole.snapshot()
    second = observations(whole)
    assert np.abs(first[1:] - first[:1]).max() > 0.1

    parts = [shard(bots, names, 0, 2), shard(bots, names, 2)]
    np.testing.assert_array_equal(np.concatenate([observations(part) for part in parts], axis=1), first)

    resumed = shard(bots, names)
    resumed.restore(arrays, document)
    np.testing.assert_array_equal(observations(resumed), second)


def test_an_opponent_that_fails_is_named(bots: dict[str, StateBot]) -> None:
    with pytest.raises(PartError, match=r"tired: controls\[0\] holds inf for throttle.*\(orange, slot 2 of arena 0\)"):
        observations(shard(bots, ["tired"]))
