"""The action heads of an actor that acts: what an action is, how it is drawn, and which controls it stands for.

`rlbot.model.heads` has the same heads in PyTorch, for learning. To add a head, add it to `HEADS` in both modules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.policy.sampling import draw, draw_each, draw_normal, subtract_largest

Floats = NDArray[np.float32]
_IS_AXIS = np.arange(8) < 5  # throttle, steer, pitch, yaw, roll; the other three controls are buttons
_CHOICES = (3, 3, 3, 3, 3, 2, 2, 2)  # of each control of the head "multi_discrete"


@dataclass(frozen=True)
class Head:
    """M is a number of cars. `draw` writes M actions and their log-probabilities; it may overwrite the logits."""

    outputs: int  # size of the last layer
    uniforms: int  # random numbers needed to draw one action
    action_shape: tuple[int, ...]  # of one stored action
    action_dtype: type[np.generic]
    draw: Callable[[Floats, Floats, Floats, Any, Floats], None]  # logits, log_std (8,), uniforms, actions, log_probs
    mode: Callable[[Floats], Any]  # logits (M, outputs) -> most likely actions (M, *action_shape)
    controls: Callable[[Any, Floats], Floats]  # actions, action table (outputs, 8) -> controls (M, 8)
    has_log_std: bool = False  # whether it has eight learned log standard deviations


def _draw_row(logits: Floats, log_std: Floats, uniform: Floats, actions: Any, log_probs: Floats) -> None:
    subtract_largest(logits)
    draw(np.exp(logits, out=logits), uniform, actions, log_probs)


def _draw_each(logits: Floats, log_std: Floats, uniform: Floats, actions: Any, log_probs: Floats) -> None:
    draw_each(logits, uniform, actions, log_probs)


def _draw_normal(logits: Floats, log_std: Floats, uniform: Floats, actions: Any, log_probs: Floats) -> None:
    draw_normal(logits, log_std, uniform, actions, log_probs)


def _likeliest_each(logits: Floats) -> Any:
    parts = np.split(logits, np.cumsum(_CHOICES)[:-1], axis=1)
    return np.stack([part.argmax(1) for part in parts], axis=1)


HEADS = {
    "table": Head(
        90, 1, (), np.int64, _draw_row, lambda logits: logits.argmax(1), lambda actions, table: table[actions]
    ),
    "multi_discrete": Head(
        sum(_CHOICES), 8, (8,), np.int64, _draw_each, _likeliest_each,
        lambda actions, table: np.asarray(actions - _IS_AXIS, np.float32),
    ),
    "continuous": Head(
        8, 16, (8,), np.float32, _draw_normal, lambda logits: logits,
        lambda actions, table: np.where(_IS_AXIS, np.tanh(actions), actions > 0).astype(np.float32), has_log_std=True,
    ),
}  # fmt: skip
