"""The network of a checkpoint, actor and critic, for export to TorchScript and ONNX."""

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from rlbot.env.action_mask import ROOF_HEIGHT, patterns, unpack
from rlbot.env.observation import POSITION_SCALE, columns
from rlbot.export.folder import built_in
from rlbot.model.actor_critic import ActorCritic
from rlbot.model.heads import make_head
from rlbot.policy import Bot, Network
from rlbot.policy.exported import is_exported
from rlbot.run import load_checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUTS = ("controls", "logits", "value")
MASK_COLUMNS = (
    *(columns(f"car.{name}").start for name in ("boost", "has_flip", "has_jumped", "air_time_since_jump")),
    *(columns(f"car.{name}").start + 2 for name in ("up", "pos")),
)
MASK_HEIGHT = float(ROOF_HEIGHT * POSITION_SCALE)
FORBIDDEN = -1e9  # logit of actions that the mask forbids
TOLERANCE = 1e-4  # largest difference of logits and value between two runtimes


class Exported(nn.Module):
    """observations (B, size) -> controls (B, 8) of the most likely actions, logits (B, outputs), value (B,)."""

    allowed: Tensor  # (4, actions): what the action mask allows, by what `_effects` returns

    def __init__(self, model: ActorCritic, network: Network) -> None:
        super().__init__()
        self.model, self._masked = model, network.action_mask
        allowed = unpack(patterns(network.action_table), len(network.action_table))
        self.register_buffer("allowed", torch.from_numpy(allowed))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.model.actor_logits(observations)
        if self._masked:
            logits = logits.masked_fill(~self.allowed[self._effects(observations)], FORBIDDEN)
        controls = self.model.head.controls(self.model.head.mode(logits))
        return controls, logits, self.model.value(observations)

    @staticmethod
    def _effects(observations: Tensor) -> Tensor:
        """(B,): 1 if boost has an effect, 2 if jump has, 3 if both; as in rlbot.env.action_mask."""
        boost, has_flip, has_jumped, air_time, up, height = (observations[:, column] for column in MASK_COLUMNS)
        rises = (has_jumped > 0) & ~(air_time > 0)
        on_roof = (up < 0) & (height < MASK_HEIGHT)
        return (boost > 0).long() + 2 * ((has_flip > 0) | rises | on_roof).long()


def load_model(bot: Bot) -> Exported:
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
    return Exported(model, network).eval()


def torchscript(model: Exported) -> bytes:
    """A file for `torch.jit.load`."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter(
            "ignore"
        )  # newer versions of PyTorch recommend torch.export, which C++ programs cannot load
        example = torch.zeros(2, model.model.observation_size)
        traced = torch.jit.trace(model, example)  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def sample(bot: Bot) -> "NDArray[np.float32]":
    """Observations (64, size) for comparing runtimes."""
    return np.random.default_rng(0).normal(size=(64, bot.network.observation_size)).astype(np.float32)


def run_torchscript(data: bytes, observations: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
    """Outputs of a TorchScript file, by name."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        results = torch.jit.load(io.BytesIO(data))(torch.from_numpy(observations))  # type: ignore[no-untyped-call]
    return {name: each.numpy() for name, each in zip(OUTPUTS, results, strict=True)}


def run(model: Exported, observations: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
    """Outputs of the trained network, by name."""
    with torch.inference_mode():
        results = model(torch.from_numpy(observations))
    return {name: each.numpy() for name, each in zip(OUTPUTS, results, strict=True)}


def compare(expected: "Mapping[str, NDArray[Any]]", found: "Mapping[str, NDArray[Any]]") -> None:
    """Raises RuntimeError if another runtime's outputs differ from the trained network's."""
    for name in OUTPUTS:
        if expected[name].shape != found[name].shape:
            raise RuntimeError(f"{name} has the shape {found[name].shape} instead of {expected[name].shape}")
        difference = float(np.abs(expected[name] - found[name]).max())
        if difference > TOLERANCE:
            raise RuntimeError(f"{name} differs from the trained network's by {difference:.2g}")
