"""What is stored is what was played: rows against a second environment, log-probabilities against the model."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlbot.collect import Matchup
from rlbot.collect.env_shard import EnvShard, RolloutStats
from rlbot.collect.rollout import Rollout
from rlbot.curriculum import Pool
from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.env.counts import COUNTS
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.policy import Network, Policy
from rlbot.reward import Reward, Term
from rlbot.sim import CarPlacement, Placement

MIX = {"kickoff": 0.2, "near_ball": 0.5, "airborne": 0.3}
RULES = Rules(no_touch_limit=1.0)  # truncates often
SELF = [(1, 1), (1, 2), (2, 2)]
LOPSIDED = [(1, 2), (2, 1)]
TERMS = [Term("touch", 1.0), Term("goal", 10.0), Term("concede", -8.0), Term("air", 0.25)]
STEPS = 40


def make_env(team_sizes: list[tuple[int, int]]) -> BatchEnv:
    return BatchEnv(team_sizes, Reward(TERMS, zero_sum=["touch"]), MIX, RULES)


def make_model(head: str) -> tuple[ActorCritic, Network]:
    torch.manual_seed(0)
    model = ActorCritic(180, make_head(head, ACTION_TABLE), (16, 16))
    model.actor_output.weight.data *= 100  # sure enough of itself that probabilities differ
    return model, Network(180, (16, 16), True, "relu", head)


class Play:
    """A shard with the weights of a model, and what it collected."""

    def __init__(
        self, team_sizes: list[tuple[int, int]], opponent: str = "self", head: str = "table", seed: int = 0
    ) -> None:
        self.model, self.network = make_model(head)
        vector = np.zeros(self.network.size(), np.float32)
        self.network.vector(self.model.actor_arrays(), vector)
        self.pool = Pool(2, len(vector))
        self.pool.add(0, vector)
        matchup = Matchup(self.network, {opponent: 1.0}, "uniform", (opponent == "self",) * len(team_sizes), seed)
        self.shard = EnvShard(lambda: make_env(team_sizes), matchup, vector, self.pool)

    def rollout(self, steps: int = STEPS) -> tuple[Rollout, RolloutStats]:
        agents = len(self.shard.learner_cars)
        rollout = Rollout(steps, agents, 180, self.network.action_shape, self.network.action_dtype)
        return rollout, self.shard.collect(rollout)


def arrays(rollout: Rollout) -> dict[str, NDArray[Any]]:
    names = ("observations", "actions", "log_probs", "rewards", "terminated", "truncated")
    names += ("final_index", "final_observations")
    return {name: getattr(rollout, name) for name in names}


def assert_same(one: Rollout, other: Rollout) -> None:
    for name, values in arrays(one).items():
        np.testing.assert_array_equal(values, arrays(other)[name], err_msg=name)


@pytest.mark.parametrize("head", ["table", "multi_discrete", "continuous"])
def test_every_row_is_what_the_environment_gave(head: str) -> None:
    play = Play(SELF, head=head)
    env = make_env(SELF)
    obs, _ = env.reset(seed=0)
    finals = []
    for _ in range(2):  # the second rollout goes on where the first one stopped
        rollout, stats = play.rollout()
        obs = env.restore(*env.snapshot())
        for t in range(STEPS):
            np.testing.assert_array_equal(rollout.observations[t], obs)
            controls = play.shard._policy.controls(rollout.actions[t])
            obs, rewards, terminated, truncated, _ = env.step(controls)
            np.testing.assert_array_equal(rollout.rewards[t], rewards)
            np.testing.assert_array_equal(rollout.terminated[t], terminated)
            np.testing.assert_array_equal(rollout.truncated[t], truncated)
            if truncated.any():
                mine = (rollout.final_index[:, 0] == t).nonzero()[0]
                assert rollout.final_index[mine, 1].tolist() == truncated.nonzero()[0].tolist()
                kept = rollout.final_observations[mine]
                np.testing.assert_array_equal(kept, env.final_obs[truncated])
                # row t + 1 is of the next episode, and something else
                assert (np.abs(kept - rollout.observations[t + 1][truncated]).max(1) > 0.01).all()
                finals += mine.tolist()
        np.testing.assert_array_equal(rollout.observations[STEPS], obs)
        assert rollout.finished and len(rollout.final_index) == rollout.truncated.sum()
        assert stats.num_steps == STEPS and stats.rewards == pytest.approx(rollout.rewards.sum(0), abs=1e-4)
    assert len(finals) > 5


@pytest.mark.parametrize("head", ["table", "multi_discrete", "continuous"])
def test_log_probabilities_are_those_of_the_model(head: str) -> None:
    play = Play(SELF, head=head)
    rollout, _ = play.rollout()
    obs, actions = (torch.from_numpy(each[:STEPS]).flatten(0, 1) for each in (rollout.observations, rollout.actions))
    with torch.inference_mode():
        expected = play.model.evaluate(obs, actions)[0].numpy()
    np.testing.assert_allclose(rollout.log_probs.ravel(), expected, atol=2e-4, rtol=1e-4)
    assert rollout.log_probs.std() > 0.05


@pytest.mark.parametrize(("opponent", "moves"), [("past", True), ("random", True), ("idle", False)])
def test_only_the_learners_cars_are_stored_and_the_others_play(opponent: str, moves: bool) -> None:
    play = Play(LOPSIDED, opponent)
    shard = play.shard
    assert shard.learner_cars.tolist() == [0, 3, 4]  # blue's, in either part
    assert shard.opponents is not None and shard.opponents.names == [opponent]
    rollout, stats = play.rollout(10)
    assert rollout.observations.shape == (11, 3, 180) and stats.num_steps == 10 and stats.rewards.shape == (3,)
    others = shard._controls[[1, 2, 5]]
    assert others.any() == moves
    still = Play(LOPSIDED, "idle")
    still.rollout(10)
    driven = np.abs(shard.env.state.car_pos - still.shard.env.state.car_pos)[[0, 0, 1], [2, 3, 2]]
    assert (driven.max(1) > 10).all() if moves else not driven.any()
    np.testing.assert_array_equal(rollout.observations[10], shard._obs[[0, 3, 4]])
    if opponent == "past":  # the same weights see their own side: not what the learner does
        assert (others[0] != shard._controls[0]).any()


def test_a_past_opponent_acts_with_its_own_weights() -> None:
    """The opponents' weights always take one action, the learner's another."""
    play = Play([(1, 2)], "past")
    brake = np.zeros(play.network.size(), np.float32)
    brake[-90:][0] = 100.0
    play.pool.add(0, brake)
    rollout, _ = play.rollout(20)
    np.testing.assert_array_equal(play.shard._controls[1:], ACTION_TABLE[[0, 0]])
    assert len(set(rollout.actions.ravel().tolist())) > 3


def test_a_past_opponent_sees_the_field_from_its_own_cars() -> None:
    play = Play([(1, 2)] * 4, "past")
    shard, policy = play.shard, Policy(play.network, play.pool.weights[0], ACTION_TABLE)
    shard.restore(*shard.snapshot())  # settled: the next step acts on these observations
    others = np.flatnonzero(shard.env.car_slot >= 2)
    cars = shard.env.car_arena[others] * 4 + shard.env.car_slot[others]
    expected = policy.sample(shard._obs[others], seed=1, step=0, cars=cars)[2]
    play.rollout(1)
    np.testing.assert_array_equal(shard._controls[others], expected)
    assert len(np.unique(expected, axis=0)) > 2


@pytest.mark.parametrize("opponent", ["self", "past", "random"])
def test_the_seed_decides_everything(opponent: str) -> None:
    first, again, other = (Play(LOPSIDED, opponent, seed=seed).rollout()[0] for seed in (3, 3, 4))
    assert_same(first, again)
    assert (first.actions != other.actions).any() and (first.observations[0] != other.observations[0]).any()


@pytest.mark.parametrize("opponent", ["self", "past", "random"])
def test_a_restored_section_goes_on_as_if_it_had_not_stopped(opponent: str) -> None:
    play, other = Play(LOPSIDED, opponent), Play(LOPSIDED, opponent, seed=0)
    for each in (play, other):
        each.pool.add(500, each.pool.weights[0] * 0.5)
    play.rollout()
    saved = play.shard.snapshot()
    other.shard.restore(*saved)
    for _ in range(2):
        (rollout, stats), (rollout_2, tally_2) = play.rollout(), other.rollout()
        assert_same(rollout, rollout_2)
        np.testing.assert_array_equal(stats.episodes, tally_2.episodes)
    if opponent == "past":
        assert set(play.shard.opponents.current[:, 1].tolist()) <= {0, 500}  # type: ignore[union-attr]


def test_the_tally_counts_episodes_and_what_the_terms_paid() -> None:
    play = Play(SELF)
    returns, current = [], np.zeros(9)
    steps, lengths = np.zeros(9, int), []
    told: list[RolloutStats] = []
    for _ in range(3):  # episodes go on across rollouts, and so do their returns
        rollout, stats = play.rollout()
        told.append(stats)
        for t in range(STEPS):
            current += rollout.rewards[t]
            steps += 1
            over = rollout.terminated[t] | rollout.truncated[t]
            returns += current[over].tolist()
            lengths += steps[over].tolist()
            current[over], steps[over] = 0, 0
    episodes = np.concatenate([stats.episodes for stats in told])
    np.testing.assert_allclose(episodes[:, 2], returns, atol=1e-5)
    assert episodes[:, 3].tolist() == lengths and max(lengths) > 15  # a touch prolonged one
    assert set(episodes[:, 1]) <= {0, 2, 4, 6, 7, 8, 9, 10, 11}  # 4 x arena + slot of 1v1, 1v2 and 2v2
    counts, earned, paid, rewards = (
        sum(getattr(stats, name) for stats in told) for name in ("counts", "earned", "paid", "rewards")
    )
    assert (counts[:, COUNTS.index("steps")] == 3 * STEPS).all()
    names = [name for name, _ in stats.terms]
    assert names == ["touch", "goal", "concede", "air"] and stats.terms[0][1]
    air = counts[:, COUNTS.index("air")]
    assert earned[:, 3] == pytest.approx(0.25 * air) and paid[:, 3] == pytest.approx(0.25 * air) and air.any()
    assert rewards == pytest.approx(paid.sum(1), abs=1e-3)  # nothing was clipped


def test_the_score_of_every_episode_against_a_past_version_is_told() -> None:
    play = Play(LOPSIDED, "past")
    env = play.shard.env
    cars = [CarPlacement((3000.0, 1000.0 * i, 17.0), 0.0) for i in range(3)]
    for arena, side in ((0, 1), (1, -1)):  # the learner, who is blue, scores in one arena and concedes in the other
        env.arenas.place(arena, Placement(cars, (0.0, side * 4900.0, 200.0), (0.0, side * 3000.0, 0.0)), env.state)
    rollout, stats = play.rollout(60)
    over = (rollout.terminated | rollout.truncated)[:, :2]  # of the three learning cars, one of either arena
    scores = np.where(rollout.truncated, 0.5, rollout.rewards > 0)[:, :2]  # a goal is worth 10, or -8
    steps, arenas = np.nonzero(over)
    expected = np.stack([steps, arenas, np.zeros(len(steps)), scores[over]], axis=1)
    np.testing.assert_array_equal(stats.against, expected)  # version 0
    assert set(stats.against[:, 3]) == {0.0, 0.5, 1.0}
    assert len(Play(LOPSIDED, "random").rollout(60)[1].against) == 0


@pytest.mark.parametrize(
    ("opponent", "arena", "who"),
    [
        ("self", 1, "the policy in training"),
        ("past", 0, "the opponent of timestep 0"),
        ("random", 0, "the opponent random"),
    ],
)
def test_a_player_whose_controls_are_not_finite_is_named(opponent: str, arena: int, who: str) -> None:
    play = Play(LOPSIDED, opponent)
    broken = np.zeros((6, 8), np.float32)
    cars = (play.shard.env.car_arena == arena) & (play.shard.env.car_slot == 2)
    broken[cars, 3] = np.nan
    play.shard._controls = broken
    with pytest.raises(ValueError, match=f"^{who} gave controls that are not finite: .*nan for yaw.* of arena {arena}"):
        play.shard._play()
