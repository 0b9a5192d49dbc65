"""Bots with another observation than the default one: what a checkpoint holds of it, and playing against other bots."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlbot import policy
from rlbot.collect.env_shard import EnvShard, Matchup
from rlbot.curriculum import Pool
from rlbot.env import BatchEnv
from rlbot.env.observations import observe
from rlbot.export.folder import built_in
from rlbot.policy import Bot
from rlbot.rating.matches import Conditions, Pairing, play
from rlbot.recording.recording import from_bytes
from rlbot.reward import Reward
from rlbot.run import save_checkpoint
from rlbot.settings.command import compose
from rlbot.settings.schema import TrainConfig
from rlbot.training.bots import bots_state, saved_bots
from rlbot.training.build import make_model, policy_document
from rlbot.training.user_files import absolute, keep

CODE = """
from beside import SCALE

def see(state, cars):
    return {"way": (state.ball_pos[cars.arena] - cars.of(state.car_pos)) / SCALE, "boost": cars.of(state.car_boost)}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/mine.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "home/beside.py").write_text("SCALE = 2000.0", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "home")
    return configured("{_target_: 'mine.py:see'}")


def configured(observation: str) -> TrainConfig:
    return absolute(compose(["experiment=debug", "model.hidden=[8]", f"env.observation={observation}"]))


def checkpoint(run: Path, config: TrainConfig, **changes: Any) -> Path:
    """As training writes it, with the copies of the user's files."""
    torch.manual_seed(0)
    model = make_model(config)
    with torch.no_grad():
        model.actor_output.weight *= 300
    document = json.loads(json.dumps(policy_document(config) | changes))
    run.mkdir(parents=True, exist_ok=True)
    keep(config, run / "code", 0)
    tensors = {"model": dict(model.state_dict())}
    return save_checkpoint(run / "checkpoints", 100, tensors, {"policy": document}, run_id="test")


def test_it_travels_with_the_run_and_with_the_checkpoint_alone(tmp_path: Path, config: TrainConfig) -> None:
    path = checkpoint(tmp_path / "run", config)
    rows = np.random.default_rng(0).normal(size=(5, 4))
    expected = policy.load(path).act(rows, deterministic=True)
    (tmp_path / "home/mine.py").write_text("def see(state, cars):\n    raise ValueError", encoding="utf-8")
    bot = policy.load(tmp_path / "run")
    assert bot.observation.columns == (("way", 3), ("boost", 1))
    assert bot.observation.target is not None and str(bot.observation.target.file).startswith(str(tmp_path / "run"))
    np.testing.assert_array_equal(bot.act(rows, deterministic=True), expected)
    with pytest.raises(ValueError, match=r"observations of shape \(5, 180\): must be \(B, 4\)"):
        bot.act(np.zeros((5, 180)))

    path.rename(tmp_path / path.name)  # without its run: the text in it is used
    alone = policy.load(tmp_path / path.name)
    assert alone.observation.source == CODE
    np.testing.assert_array_equal(alone.act(rows, deterministic=True), expected)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"name": "wide"}, "its observation is wide, this version knows default, relative, small"),
        (
            {"target": {"_target_": "gone.py:see"}},
            "trained with the observation gone.py:see, whose text is missing",
        ),
        ({"target": {"_target_": "no.module.see"}}, "env.observation._target_=no.module.see: cannot be imported"),
        ({"target": {"_target_": "mine.py:see"}, "source": "x = 1"}, "there is no function see"),
        ({"name": "small"}, "trained with another observation: entry 0 is way"),
        ({"target": 3}, "must be module.function"),
    ],
)
def test_a_checkpoint_without_its_observation_is_refused(
    tmp_path: Path, config: TrainConfig, made: dict[str, Any], message: str
) -> None:
    path = checkpoint(tmp_path / "run", config, observation_from=made)
    with pytest.raises(ValueError, match=rf"^checkpoint=.*{message}"):
        policy.load(path)


def bots(tmp_path: Path, config: TrainConfig) -> list[Bot]:
    """One with an observation of the user's own, one with a built-in one, one with the default."""
    configs = [config, configured("relative"), configured("default")]
    return [policy.load(checkpoint(tmp_path / f"run_{i}", each), seed=1) for i, each in enumerate(configs)]


def test_bots_with_unlike_observations_play_each_other(tmp_path: Path, config: TrainConfig) -> None:
    players = bots(tmp_path, config)
    pairings = [Pairing(0, 1, 2, record=1), Pairing(1, 2, 2), Pairing(0, 0, 1)]
    conditions = Conditions(1, 2, seconds=2.0)
    one, other = (play(players, pairings, conditions, workers=workers) for workers in (0, 2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.counts, b.counts)
    (data,) = one[0].recordings.values()
    match = from_bytes(data, "match")
    frames = np.arange(len(match) - 1)
    seen, none = np.empty((len(match), 4), np.float32), np.zeros(len(match), np.int64)
    observe(
        players[0].observation,
        match.states,
        np.zeros((len(match), 8), np.float32),
        np.arange(len(match)),
        none,
        frames,
        seen,
    )
    logits = players[0].policy.logits(seen[:-1]).copy()
    chances = np.exp(logits - logits.max(1, keepdims=True))
    expected = chances[frames, match.decisions["action"][:-1, 0]] / chances.sum(1)
    np.testing.assert_allclose(match.decisions["action_probability"][:-1, 0], expected, rtol=1e-3)


def test_as_an_opponent_by_its_path_and_in_the_checkpoints_of_that_run(tmp_path: Path, config: TrainConfig) -> None:
    mine, _, learner = bots(tmp_path, config)
    pool = Pool(2, learner.network.size())
    matchup = Matchup(learner.network, {"mine": 1.0}, "uniform", (False,) * 2, 0, {"mine": mine})
    env = BatchEnv([(1, 1), (2, 2)], Reward([]), {"anywhere": 1.0})
    shard = EnvShard(lambda: env, matchup, learner.weights, pool)
    others = shard._other_cars
    sees = env.observed(mine.observation, others)
    expected = mine.policy.sample(sees, matchup.seed + 1, 0, shard._numbers[others])[2]
    assert shard.opponents is not None
    np.testing.assert_array_equal(shard.opponents.controls(shard._obs[others], 0, env, others), expected)

    tensors, document = bots_state({"mine": mine})
    again = saved_bots({"opponents": tensors}, {"opponents_state": json.loads(json.dumps(document))})["mine"]
    assert again.observation.source == CODE and again.network == mine.network


def test_it_is_not_exported(tmp_path: Path, config: TrainConfig) -> None:
    mine, relative, default = bots(tmp_path, config)
    for bot, name in ((mine, "mine.py:see"), (relative, "relative")):
        with pytest.raises(ValueError, match=rf"it sees .*{name}; only bots with env.observation=default"):
            built_in(bot)
    assert built_in(default) == default.network
