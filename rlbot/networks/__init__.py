"""Networks besides the built-in layers, for model.network. They are examples of networks of your own, too."""

from rlbot.networks.attention import Attention
from rlbot.networks.gru import GRU

__all__ = ["GRU", "Attention"]
