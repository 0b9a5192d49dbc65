"""The activations of hidden layers: name, compiled function for acting, PyTorch function for learning.

To add one, add a line to `ACTIVATIONS` and a branch to `activate`.
"""

import math

import numpy as np
from numba import njit

# model.activation: the name of PyTorch's function, so that this module does not import PyTorch. relu_ and tanh_ work in
# place, which saves a pass over memory; their backward pass needs only the result.
ACTIVATIONS = {
    "relu": "relu_",
    "tanh": "tanh_",
    "elu": "nn.functional.elu",
    "gelu": "nn.functional.gelu",
    "leaky_relu": "nn.functional.leaky_relu",
    "silu": "nn.functional.silu",
}
NO_ACTIVATION = -1  # the number of the last layer's activation


def number(name: str) -> int:
    """Returns the number by which `activate` knows this activation."""
    return list(ACTIVATIONS).index(name)


@njit(cache=True)
def activate(x, activation):  # type: ignore[no-untyped-def]
    """Returns the activation with this number of one float32."""
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
