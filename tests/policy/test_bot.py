"""A checkpoint as a bot: the same controls as the network that was trained, and what is refused."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rlbot
from rlbot import policy
from rlbot.env import ACTION_TABLE
from rlbot.model.actor_critic import ActorCritic
from rlbot.run import save_checkpoint
from rlbot.settings.command import compose
from rlbot.training.build import make_model, policy_document

HEADS = ["table", "multi_discrete", "continuous"]


def write(
    folder: Path,
    *overrides: str,
    timesteps: int = 1000,
    change: Callable[[dict[str, Any], dict[str, torch.Tensor]], Any] = lambda document, tensors: None,
) -> tuple[Path, ActorCritic]:
    """A checkpoint as training writes it, of a policy that has opinions, after `change(policy.json, model)`."""
    config = compose(["experiment=debug", "model.hidden=[32,24]", *overrides])
    torch.manual_seed(timesteps)
    model = make_model(config)
    with torch.no_grad():
        model.actor_output.weight *= 300  # it begins with nearly equal probabilities for everything
        model.actor_output.bias += torch.randn(model.actor_output.bias.shape)
    tensors, document = dict(model.state_dict()), policy_document(config)
    document = json.loads(json.dumps(document))
    change(document, tensors)
    path = save_checkpoint(folder, timesteps, {"model": tensors}, {"policy": document}, run_id="test")
    return path, model


def observations(rows: int = 64) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=(rows, 180)).astype(np.float32)


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("head", HEADS)
def test_it_acts_like_the_network_that_was_trained(tmp_path: Path, head: str, activation: str) -> None:
    path, model = write(tmp_path, f"model.action_head={head}", f"model.activation={activation}")
    bot = policy.load(path)
    with torch.inference_mode():
        actions, _ = model.act(torch.from_numpy(observations()), deterministic=True)
        expected = model.head.controls(actions).numpy()
    controls = bot.act(observations(), deterministic=True)
    assert controls.dtype == np.float32 and len(np.unique(controls, axis=0)) > 5
    np.testing.assert_allclose(controls, expected, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_drawn_actions_follow_the_policy_and_can_be_repeated(tmp_path: Path, head: str) -> None:
    path, _ = write(tmp_path, f"model.action_head={head}")
    first, second = policy.load(path, seed=3), pickle.loads(pickle.dumps(policy.load(path, seed=3)))
    same = np.repeat(observations(1), 4000, axis=0)
    drawn = first.act(same)
    np.testing.assert_array_equal(drawn, second.act(same))
    assert (first.act(same) != drawn).any(), "the next step draws anew"
    if head == "table":
        logits = first.policy.logits(same[:1]).astype(np.float64)
        share = np.exp(logits - logits.max()).ravel()
        rows = [int(np.flatnonzero((row == ACTION_TABLE).all(1))[0]) for row in drawn]
        np.testing.assert_allclose(np.bincount(rows, minlength=90) / 4000, share / share.sum(), atol=0.04)


@pytest.mark.parametrize("head", HEADS)
def test_loads_of_one_checkpoint_draw_each_on_their_own_unless_they_are_seeded_alike(tmp_path: Path, head: str) -> None:
    path, _ = write(tmp_path, f"model.action_head={head}")
    same = np.repeat(observations(1), 100, axis=0)
    drawn = [[bot.act(same) for _ in range(2)] for bot in (policy.load(path), policy.load(path))]
    assert (drawn[0][0] != drawn[1][0]).any() and (drawn[0][1] != drawn[1][1]).any()
    for seed in (0, 7, 2**63 - 1, 2**200):
        one, other = policy.load(path, seed), policy.load(path, seed=seed)
        for _ in range(2):
            np.testing.assert_array_equal(one.act(same), other.act(same))
    for wrong in (-1, 1.5, True, "7"):
        with pytest.raises(ValueError, match=r"^seed=.*: must be a whole number of at least 0"):
            policy.load(path, seed=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_no_observations_give_no_controls(tmp_path: Path, head: str, deterministic: bool) -> None:
    path, _ = write(tmp_path, f"model.action_head={head}")
    bot = policy.load(path)
    for _ in range(2):  # as the first call, and after one that had rows
        controls = bot.act(observations(0), deterministic)
        assert controls.shape == (0, 8) and controls.dtype == np.float32
        assert bot.act(observations(5), deterministic).shape == (5, 8)


def test_it_says_how_it_is_to_be_played(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    write(folder, "env.tick_skip=4", "env.action_delay=2", timesteps=50)
    bot = policy.load(tmp_path)
    assert (bot.tick_skip, bot.action_delay, bot.timesteps) == (4, 2, 50)
    with pytest.raises(ValueError, match=r"observations of shape \(180,\): must be \(B, 180\)"):
        bot.act(observations()[0])


def test_a_run_gives_its_newest_sound_checkpoint(tmp_path: Path) -> None:
    for timesteps in (50, 100, 150):
        newest, _ = write(tmp_path, timesteps=timesteps)
    (newest / "model.safetensors").write_bytes(b"broken")
    assert policy.load(tmp_path).timesteps == 100


def test_neither_pytorch_nor_hydra_is_needed(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    code = (
        "import sys, numpy, rlbot.policy\n"
        f"bot = rlbot.policy.load({str(path)!r})\n"
        "assert bot.act(numpy.zeros((2, 180))).shape == (2, 8)\n"
        "print({'torch', 'hydra', 'omegaconf', 'tensorboard', 'rlbot.learner'} & set(sys.modules))"
    )
    root = Path(rlbot.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def rename(document: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    document["observation"][5] = ["ball.speed", 1]


REFUSED = [
    (rename, "trained with another observation: entry 5 is ball.speed (1), in this version ball.distance (1)"),
    (lambda d, t: d["observation"].pop(), "is missing, in this version opponent_2.has_flip (1)"),
    (lambda d, t: d["observation"].append(["wind", 3]), "is wind (3), in this version missing"),
    (lambda d, t: d["action_table"][7].__setitem__(2, 5), "its action table: row 7 has pitch=5; must be in [-1, 1]"),
    (lambda d, t: d["action_table"].pop(), "actor_output.weight is of shape (24, 90), its network needs (24, 89)"),
    (lambda d, t: d["network"].update(observation_size=94), "its network sees 94 numbers, this version gives 180"),
    (lambda d, t: d["network"].update(activation="mish"), "activation is mish, this version knows relu, tanh"),
    (lambda d, t: d["network"].update(lstm=256), "described by other keys than in this version: lstm"),
    (lambda d, t: d["network"].update(hidden=[32, 25]), "actor_trunk.linears.1.weight is of shape (32, 24)"),
    (lambda d, t: d["network"].update(hidden=[32, 24, 8]), "has no actor_trunk.linears.2.weight"),
    (lambda d, t: d.pop("tick_skip"), "its policy.json lacks 'tick_skip'"),
    (lambda d, t: d.update(action_delay=8), "its tick_skip=8 and action_delay=8 do not fit"),
    (lambda d, t: t["actor_output.bias"].fill_(float("nan")), "model.safetensors holds numbers that are not finite"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_would_be_played_as_something_else_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    path, _ = write(tmp_path, change=change)
    with pytest.raises(ValueError, match=r"^opponent=") as caught:
        policy.load(path, setting="opponent")
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_another_table_does_not_matter_to_a_head_without_one(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "model.action_head=continuous", change=lambda d, t: d["action_table"].clear())
    assert policy.load(path).network.action_head == "continuous"


def test_what_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no directory"):
        policy.load(tmp_path / "nothing")
    path, _ = write(tmp_path)
    data = bytearray((path / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        policy.load(path)
