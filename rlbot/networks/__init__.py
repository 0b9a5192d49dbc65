"""Networks besides the built-in layers, for model.network. They are examples of networks of your own, too."""

from rlbot.networks.attention import Attention

__all__ = ["Attention"]
