"""The network in formats that other programs run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlbot.export import folder, network, onnx_graph
from rlbot.export.folder import BotInfo
from rlbot.policy import load
from tests.policy.test_bot import HEADS, observations, write
from tests.policy.test_exported import network_alone

SHAPES = [
    ("table", "relu", []),
    ("multi_discrete", "silu", ["model.shared_trunk=true"]),
    ("continuous", "elu", ["model.layer_norm=false"]),
    ("table", "gelu", ["model.hidden=[16]"]),
    ("table", "tanh", []),
    ("table", "leaky_relu", []),
]


def expected(tmp_path: Path, head: str, activation: str, overrides: list[str]) -> tuple[Any, Any, dict[str, Any]]:
    """The bot, its whole network, and what it gives for the observations."""
    path, model = write(tmp_path, f"model.action_head={head}", f"model.activation={activation}", *overrides)
    bot = load(path)
    rows = torch.from_numpy(observations())
    with torch.inference_mode():
        logits, value = model.actor_logits(rows).numpy(), model.value(rows).numpy()
    return (
        bot,
        network.load_model(bot),
        {"logits": logits, "value": value, "controls": bot.act(rows, deterministic=True)},
    )


@pytest.mark.parametrize(("head", "activation", "overrides"), SHAPES)
def test_torchscript(tmp_path: Path, head: str, activation: str, overrides: list[str]) -> None:
    _, model, wanted = expected(tmp_path, head, activation, overrides)
    data = network.torchscript(model)
    for rows in (64, 1):  # of any batch
        found = network.run_torchscript(data, observations()[:rows])
        network.compare({name: each[:rows] for name, each in wanted.items()}, found)
    assert found["controls"].dtype == found["value"].dtype == np.float32


@pytest.mark.parametrize(("head", "activation", "overrides"), SHAPES)
def test_onnx(tmp_path: Path, head: str, activation: str, overrides: list[str]) -> None:
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    bot, model, wanted = expected(tmp_path, head, activation, overrides)
    data = onnx_graph.onnx_file(model, bot.network)
    for rows in (64, 1):
        found = onnx_graph.run(data, observations()[:rows])
        assert found is not None and set(found) == {"controls", "logits", "value"}
        network.compare({name: each[:rows] for name, each in wanted.items()}, found)
        assert found["controls"].dtype == np.float32 and found["controls"].shape == (rows, 8)


def test_a_runtime_that_computes_something_else_is_noticed(tmp_path: Path) -> None:
    _, model, wanted = expected(tmp_path, "table", "relu", [])
    with pytest.raises(RuntimeError, match=r"value differs from the trained network's by 0\.5"):
        network.compare(network.run(model, observations()), {**wanted, "value": wanted["value"] + 0.5})
    with pytest.raises(RuntimeError, match=r"logits has the shape \(64, 89\) instead of \(64, 90\)"):
        network.compare(wanted, {**wanted, "logits": wanted["logits"][:, 1:]})


@pytest.mark.parametrize("head", HEADS)
def test_the_manifest_and_the_readme_go_with_it(tmp_path: Path, head: str) -> None:
    bot = load(write(tmp_path, f"model.action_head={head}")[0])
    made = folder.network_folder(bot, BotInfo("Tested", ""), "policy.pt", b"data")
    assert set(made) == {"policy.pt", "README.md", "manifest.json"}
    manifest = json.loads(made["manifest.json"])
    assert manifest["network"]["action_head"] == head and set(manifest["files"]) == {"policy.pt", "README.md"}
    readme = made["README.md"].decode()
    assert f"(B, {bot.network.head.outputs}) float32" in readme and "$" not in readme


def test_an_exported_folder_has_no_critic(tmp_path: Path) -> None:
    bot = load(network_alone(tmp_path / "exported", load(write(tmp_path)[0])))
    with pytest.raises(ValueError, match="this format needs a checkpoint; an exported folder has no critic"):
        network.load_model(bot)
