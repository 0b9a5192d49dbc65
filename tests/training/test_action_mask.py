"""env.action_mask in a run: the same whatever the number of workers and whoever acts, in matches, after a resume."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rlbot import policy
from rlbot.collect.rollout import Rollout
from rlbot.env import ACTION_TABLE, BatchEnv
from rlbot.env.action_mask import masks_of, patterns, unpack
from rlbot.learner.sequences import Sequences
from rlbot.policy import Bot
from rlbot.rating.matches import actor, seen_by
from rlbot.recording.decisions import decision
from rlbot.reward import Reward
from rlbot.run import load_checkpoint, save_checkpoint
from rlbot.settings import command
from rlbot.training.bots import bots_state, saved_bots
from rlbot.training.build import Components, build, make_model, policy_document
from tests.collect.test_acting import NET
from tests.training.test_own_parts import QUICK, train

SMALL = [
    "experiment=debug",
    "env.num_envs=5",
    "learner.batch_size=480",
    "learner.minibatch_size=60",
    "hardware=cpu",
    "hardware.precision=fp32",
]
MIXED = "+curriculum.stages.duel.teams={1v2:1,2v2:1}"
NAMES = ("observations", "actions", "log_probs", "masks", "rewards", "terminated", "truncated", "final_observations")


def made(*overrides: str) -> Components:
    parts = build(command.compose([*SMALL, "env.action_mask=true", *overrides]), print)
    parts.publish()
    return parts


def rollouts(parts: Components) -> list[Rollout]:
    """Two rollouts of the first stage; with overlap the second was begun with the weights of before."""
    collector = parts.make_collector(0)
    try:
        played = []
        for _ in range(2):
            played.append(collector.collect()[0])
            if parts.ppo._prepare.overlap:
                collector.begin()
        collector.wait()
        return played
    finally:
        collector.close()


def assert_same(one: list[Rollout], other: list[Rollout]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)


def assert_learned_as_acted(parts: Components, rollout: Rollout) -> None:
    """What was chosen was allowed; the learner finds the probabilities with which it was chosen."""
    allowed = unpack(rollout.masks, 90).reshape(-1, 90)
    actions = rollout.actions.ravel()
    assert allowed[np.arange(len(actions)), actions].all() and 42 in allowed.sum(1) and 90 in allowed.sum(1)
    batch, sequences = parts.ppo._prepare(rollout)[0], Sequences(rollout.num_agents, parts.ppo.sequence_length)
    recurrent = () if batch.states is None else (batch.states, batch.begins)
    with torch.inference_mode():
        log_probs, entropy, _ = parts.model.evaluate(batch.observations, batch.actions, batch.masks, *recurrent)
    np.testing.assert_allclose(sequences.unfold(log_probs), rollout.log_probs.ravel(), rtol=0, atol=2e-5)
    assert (sequences.unfold(entropy).numpy() <= np.log(allowed.sum(1)) + 1e-5).all()


@pytest.mark.parametrize("who", ["workers", "overlap", "learner", "own network", "recurrent"])
def test_the_same_is_collected_with_any_number_of_workers_and_learned_as_it_was_acted(who: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    own = f"model.network={{_target_: '{(tmp_path / 'net.py').as_posix()}:Net', width: 16}}"
    overrides = {
        "workers": [],
        "overlap": ["learner.overlap=true"],
        "learner": ["hardware.acting=learner"],
        "own network": [own],
        "recurrent": ["model=gru", "model.network.width=16"],
    }[who]
    overrides = [MIXED, *overrides]
    alone, *others = (
        made(f"env.workers={workers}", *overrides) for workers in ((1, 3) if who == "overlap" else (0, 1, 3))
    )
    first = rollouts(alone)
    for rollout in first:
        assert_learned_as_acted(alone, rollout)
    for parts in others:
        assert_same(first, rollouts(parts))
    assert alone.ppo.update(first[1])["policy/ratio_max"] < 2.0


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    config = command.compose(["experiment=debug", "model.hidden=[8]", "env.action_mask=true"])
    torch.manual_seed(0)
    tensors = {"model": dict(make_model(config).state_dict())}
    document = json.loads(json.dumps(policy_document(config)))
    return policy.load(save_checkpoint(tmp_path / "run", 100, tensors, {"policy": document}, run_id="test"), seed=1)


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_bot_plays_with_the_mask_that_it_was_trained_with(bot: Bot, deterministic: bool) -> None:
    """In matches, as they are watched, and by itself."""
    env = BatchEnv([(1, 1)] * 4, Reward([]), {"anywhere": 1.0, "airborne": 1.0})
    observations, _ = env.reset(seed=0)
    cars, which = np.arange(env.num_envs), patterns(ACTION_TABLE)
    play = actor(bot, deterministic, 0, env, cars, cars)
    presses = 0
    for step in range(60):
        allowed = unpack(masks_of(env.state, which, env.car_arena, env.car_slot), 90)
        forbidden = ACTION_TABLE[None].repeat(len(cars), 0)
        controls = play(observations, step)
        mine = bot.act(observations, deterministic, allowed=allowed)
        for each in (controls, mine):
            chosen = (each[:, None] == forbidden).all(2).argmax(1)
            assert allowed[cars, chosen].all()
        told = decision(bot, seen_by(play), controls)
        assert told.top_probabilities is not None and told.top_actions is not None
        assert (told.top_probabilities[~np.take_along_axis(allowed, told.top_actions, 1)] == 0).all()
        presses += int((~allowed).sum())
        observations = env.step(controls)[0]
    assert presses > 0


def test_it_does_not_act_without_the_mask(bot: Bot) -> None:
    observations = np.zeros((2, 180), np.float32)
    with pytest.raises(ValueError, match=r"step_000000100: trained with env\.action_mask=true: give allowed"):
        bot.act(observations)
    with pytest.raises(ValueError, match=r"allowed of shape \(2, 8\): must be \(2, 90\)"):
        bot.act(observations, allowed=np.ones((2, 8), bool))


def test_an_opponents_mask_is_in_the_checkpoints_of_the_run(bot: Bot) -> None:
    tensors, document = bots_state({"mine": bot})
    again = saved_bots({"opponents": tensors}, {"opponents_state": json.loads(json.dumps(document))})["mine"]
    assert again.network == bot.network and again.network.action_mask


@pytest.mark.parametrize("mask", ["true", "false"])
@pytest.mark.parametrize("opponent", ["past", "a path"])
def test_a_policy_plays_opponents_with_and_without_a_mask(bot: Bot, opponent: str, mask: str) -> None:
    name = "past" if opponent == "past" else bot.path.as_posix()
    stage = [f"curriculum.stages.duel.opponent={name}", "env.workers=0"]
    parts = build(command.compose([*SMALL, f"env.action_mask={mask}", *stage]), print)
    parts.pool.add(0, parts.publish())
    assert all(each.masks.shape[2] == (12 if mask == "true" else 0) for each in rollouts(parts))


@pytest.mark.slow
def test_a_run_goes_on_with_its_mask_exactly_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, half, rest = tmp_path / "whole", tmp_path / "half", ["learner.anneal_learning_rate=false"]
    own = [*QUICK, "env.action_mask=true", "learner.overlap=true", *rest]
    assert train(tmp_path, *own, "total_timesteps=1500", f"hydra.run.dir={whole}")[::2] == (0, "")
    assert train(tmp_path, *own, "total_timesteps=700", f"hydra.run.dir={half}")[::2] == (0, "")
    status, _, err = train(tmp_path, f"resume={half}", "total_timesteps=1500", "env.action_mask=false")
    assert status == 1 and "it was trained with env.action_mask=true" in err
    assert train(tmp_path, f"resume={half}", "total_timesteps=1500", "env.workers=1")[::2] == (0, "")
    one, other = (load_checkpoint(sorted((run / "checkpoints").glob("step_*"))[-1])[0] for run in (whole, half))
    for name, tensor in one["model"].items():
        np.testing.assert_array_equal(tensor, other["model"][name], err_msg=name)
