"""The activations of hidden layers, each once: its name, its compiled form for acting, its PyTorch form for learning.

To add one, add a line to `ACTIVATIONS` and a branch to `activate`.
"""

import math

import numpy as np
from numba import njit

# model.activation: PyTorch's function, by its name, so that this module does without PyTorch. relu_ and tanh_ work in
# place, since their backward pass needs the result only: one pass over memory less.
ACTIVATIONS = {
    "relu": "relu_",
    "tanh": "tanh_",
    "elu": "nn.functional.elu",
    "gelu": "nn.functional.gelu",
    "leaky_relu": "nn.functional.leaky_relu",
    "silu": "nn.functional.silu",
}
NO_ACTIVATION = -1  # of the last layer


def number(name: str) -> int:
    """What `activate` calls the activation of this name."""
    return list(ACTIVATIONS).index(name)


@njit(cache=True)
def activate(x, activation):  # type: ignore[no-untyped-def]
    """The activation with this number, of one float32."""
    if activation == 0:
        return max(x, np.float32(0.0))
    if activation == 1:
        return np.tanh(x)
    if activation == 2:
        return x if x > 0 else np.expm1(x)
    if activation == 3:
        return 0.5 * x * (1.0 + math.erf(x / math.sqrt(2.0)))
    if activation == 4:
        return x if x > 0 else 0.01 * x
    return x / (1.0 + np.exp(-x))
