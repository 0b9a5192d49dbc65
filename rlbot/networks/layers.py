"""Layers that several networks use."""

from torch import nn


def head(width: int, outputs: int, gain: float) -> nn.Sequential:
    """(B, width) -> (B, outputs): a hidden layer with layer norm, then a linear layer of orthogonal weights with this
    gain: a small one for logits, so that all actions are about as likely at first."""
    last = nn.Linear(width, outputs)
    nn.init.orthogonal_(last.weight, gain)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), last)
