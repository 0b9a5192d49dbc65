"""The critic in NumPy says what the trained network says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlbot.env.observation import OBSERVATION_SIZE
from rlbot.policy import ACTIVATIONS, Critic, Network, load, load_critic
from rlbot.run import save_checkpoint
from rlbot.settings.command import compose
from rlbot.training.build import make_model, policy_document


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("layer_norm", "shared"), [(True, False), (False, True)])
def test_its_values_are_those_of_the_network(activation: str, layer_norm: bool, shared: bool, tmp_path: Path) -> None:
    settings = {"layer_norm": layer_norm, "shared_trunk": shared, "activation": activation, "hidden": "[32,16]"}
    config = compose([f"model.{name}={value}" for name, value in settings.items()])
    model = make_model(config)
    document = {"policy": policy_document(config)}
    path = save_checkpoint(tmp_path, 1, {"model": model.state_dict()}, document, run_id="test")
    critic = load_critic(load(path))
    assert critic is not None
    observations = np.random.default_rng(0).normal(size=(5, OBSERVATION_SIZE)).astype(np.float32)
    with torch.inference_mode():
        expected = model.value(torch.from_numpy(observations)).numpy()
    values = critic.value(observations)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_a_bot_without_a_critic_tells_no_value(tmp_path: Path) -> None:
    config = compose([])
    path = save_checkpoint(
        tmp_path, 1, {"model": make_model(config).state_dict()}, {"policy": policy_document(config)}, run_id="test"
    )
    bot = load(path)
    (path / "model.safetensors").unlink()
    assert load_critic(bot) is None
    with pytest.raises(ValueError, match=r"the weights have no critic: .* is missing"):
        Critic(Network(OBSERVATION_SIZE, (8,), True, "relu", "table"), {})
