"""The network of a checkpoint, actor and critic, for export to TorchScript and ONNX."""

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from rlbot.export.folder import built_in
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.policy import Bot
from rlbot.policy.exported import is_exported
from rlbot.run import load_checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUTS = ("controls", "logits", "value")
TOLERANCE = 1e-4  # largest difference of logits and value between two runtimes


class Exported(nn.Module):
    """observations (B, 180) -> controls (B, 8) of the most likely actions, logits (B, outputs), value (B,)."""

    def __init__(self, model: ActorCritic) -> None:
        super().__init__()
        self.model = model

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.model.actor_logits(observations)
        controls = self.model.head.controls(self.model.head.mode(logits))
        return controls, logits, self.model.value(observations)


def load_model(bot: Bot) -> ActorCritic:
    """The trained network, on the CPU. Raises ValueError if the bot comes from an exported folder, which has no
    critic."""
    if is_exported(bot.path):
        raise ValueError(f"checkpoint={bot.path}: this format needs a checkpoint; an exported folder has no critic")
    tensors = load_checkpoint(bot.path)[0]["model"]
    network = built_in(bot)
    model = ActorCritic(
        network.observation_size,
        make_head(network.action_head, network.action_table),
        network.hidden,
        network.layer_norm,
        network.activation,
        shared_trunk=not any(name.startswith("critic_trunk.") for name in tensors),
    )
    model.load_state_dict({name: torch.as_tensor(value) for name, value in tensors.items()})
    return model.eval()


def torchscript(model: ActorCritic) -> bytes:
    """A file for `torch.jit.load`."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter(
            "ignore"
        )  # newer versions of PyTorch recommend torch.export, which C++ programs cannot load
        example = torch.zeros(2, model.observation_size)
        traced = torch.jit.trace(Exported(model), example)  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def sample(bot: Bot) -> "NDArray[np.float32]":
    """Observations (64, 180) for comparing runtimes."""
    return np.random.default_rng(0).normal(size=(64, bot.network.observation_size)).astype(np.float32)


def run_torchscript(data: bytes, observations: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
    """Outputs of a TorchScript file, by name."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        results = torch.jit.load(io.BytesIO(data))(torch.from_numpy(observations))  # type: ignore[no-untyped-call]
    return {name: each.numpy() for name, each in zip(OUTPUTS, results, strict=True)}


def run(model: ActorCritic, observations: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
    """Outputs of the trained network, by name."""
    with torch.inference_mode():
        results = Exported(model)(torch.from_numpy(observations))
    return {name: each.numpy() for name, each in zip(OUTPUTS, results, strict=True)}


def compare(expected: "Mapping[str, NDArray[Any]]", found: "Mapping[str, NDArray[Any]]") -> None:
    """Raises RuntimeError if another runtime's outputs differ from the trained network's."""
    for name in OUTPUTS:
        if expected[name].shape != found[name].shape:
            raise RuntimeError(f"{name} has the shape {found[name].shape} instead of {expected[name].shape}")
        difference = float(np.abs(expected[name] - found[name]).max())
        if difference > TOLERANCE:
            raise RuntimeError(f"{name} differs from the trained network's by {difference:.2g}")
