"""Exported bots that were trained with an action mask choose from the same actions, wherever they play."""

from pathlib import Path

import numpy as np
import pytest

from rlbot import policy
from rlbot.env import BatchEnv
from rlbot.env.action_mask import ROOF_HEIGHT, unpack
from rlbot.env.observation import POSITION_SCALE
from rlbot.export import network, onnx_graph
from rlbot.export.folder import BotInfo, manifest, weights
from rlbot.export.template.agent import mask
from rlbot.export.template.agent.network import Network
from rlbot.policy import Bot
from rlbot.reward import Reward
from tests.export.conftest import exported
from tests.policy.test_bot import write

Floats = np.ndarray


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Bot:
    return policy.load(write(tmp_path_factory.mktemp("masked"), "env.action_mask=true", "model.hidden=[64,64]")[0])


@pytest.fixture(scope="module")
def seen(bot: Bot) -> tuple[Floats, Floats]:
    """Observations of random play, and what the mask allows there."""
    env = BatchEnv([(1, 1)] * 8, Reward([]), {"anywhere": 1.0, "airborne": 1.0})
    rng, observations, allowed = np.random.default_rng(0), [env.reset(seed=0)[0]], []
    for _ in range(100):
        masks = bot.policy.masks(env, slice(None))
        assert masks is not None
        allowed.append(unpack(masks, 90))
        controls = bot.network.action_table[rng.integers(90, size=env.num_envs)]
        observations.append(env.step(controls)[0])
    found = np.concatenate(allowed)
    assert set(found.sum(1).tolist()) == {42, 51, 72, 90}
    return np.concatenate(observations[:-1]), found


def test_the_program_of_the_folder(bot: Bot, seen: tuple[Floats, Floats]) -> None:
    observations, allowed = seen
    document = manifest(bot, BotInfo("Masked", "me"))
    made = Network(document["network"], weights(bot), document["action_table"], document["observation"])
    logits = np.array([made.logits(row) for row in observations])
    np.testing.assert_array_equal(np.isfinite(logits), allowed)
    wanted = bot.act(observations, deterministic=True, allowed=allowed)
    np.testing.assert_array_equal([made.likeliest(row) for row in logits], wanted)
    assert (mask.ROOF_HEIGHT, np.float32(1 / mask.SPEED)) == (ROOF_HEIGHT, POSITION_SCALE)


def test_one_action_is_always_allowed() -> None:
    rows = np.array([[1, 0, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1, 0]], np.float32)
    names = ("pos", 3), ("up", 3), ("boost", 1), ("has_flip", 1), ("has_jumped", 1), ("air_time_since_jump", 1)
    made = mask.Mask([(f"car.{name}", size) for name, size in names], rows)
    assert made.allowed(np.array([0, 0, 1, 0, 0, 1, 0, 0, 0, 0], np.float32)).tolist() == [True, True]
    assert made.allowed(np.array([0, 0, 1, 0, 0, 1, 0.2, 0, 0, 0], np.float32)).tolist() == [False, True]


def test_a_folder_is_read_with_its_mask(bot: Bot, tmp_path: Path) -> None:
    """While it is written, the program in it repeats what the policy played."""
    again = policy.load(exported(tmp_path / "folder", bot))
    assert again.network == bot.network and again.network.action_mask


@pytest.mark.parametrize("form", ["torchscript", "onnx"])
def test_the_network_alone(bot: Bot, seen: tuple[Floats, Floats], form: str) -> None:
    (observations, allowed), model = seen, network.load_model(bot)
    if form == "onnx":
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
        pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
        found = onnx_graph.run(onnx_graph.onnx_file(model, bot.network), observations)
    else:
        found = network.run_torchscript(network.torchscript(model), observations)
    assert found is not None
    np.testing.assert_array_equal(found["logits"] > network.FORBIDDEN / 2, allowed)
    network.compare(network.run(model, observations), found)
    wanted = bot.act(observations, deterministic=True, allowed=allowed)
    np.testing.assert_array_equal(found["controls"], wanted)
