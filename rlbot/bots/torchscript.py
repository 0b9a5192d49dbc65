"""A network in a TorchScript file of the user's own. PyTorch is imported only in the process that plays it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.bots.entities import COLUMNS

Floats = NDArray[np.float32]

# Cars in one forward pass. Always the same number, because a product of another shape may have other last bits: so what
# a car does is the same in any batch. 8 also takes the least time for each car.
_BATCH = 8
_QUERY, _ANY_ROWS = COLUMNS + 8, 39  # a network takes any number of rows


class Attention:
    """The network of Nexto or of Necto: it looks from one car at the rows of all players, the ball and the pads."""

    def __init__(self, path: str, outputs: int, name: str) -> None:
        """`outputs`: how many numbers it gives for a car. Raises ValueError if the file is not such a network."""
        import torch

        self._torch = torch
        file = Path(path).expanduser()
        if not file.is_file():
            raise ValueError(f"there is no file {path}")
        try:
            with _one_thread(torch), warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", DeprecationWarning
                )  # TorchScript is deprecated, and what their files are
                self._model = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
                shapes = (_QUERY,), (_ANY_ROWS, COLUMNS), (_ANY_ROWS,)
                shape = self._forward(*(np.zeros((_BATCH, *each), np.float32) for each in shapes))
        except Exception as error:  # a file of the user's: anything may be in it
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise ValueError(f"{path} is not the TorchScript file of {name}: {reason[0]}") from error
        if shape.shape != (_BATCH, outputs):
            raise ValueError(f"{path} is not the network of {name}: it gives {shape.shape[1]} numbers, not {outputs}")

    def __call__(self, queries: Floats, rows: Floats, mask: Floats) -> Floats:
        """(K, 32), (K, ROWS, COLUMNS), (K, ROWS) -> (K, outputs)."""
        count = len(queries)
        padded = -(-count // _BATCH) * _BATCH
        full = [
            np.concatenate([each, np.zeros((padded - count, *each.shape[1:]), np.float32)])
            for each in (queries, rows, mask)
        ]
        with _one_thread(self._torch):
            parts = [self._forward(*(each[i : i + _BATCH] for each in full)) for i in range(0, padded, _BATCH)]
        return np.concatenate(parts)[:count]

    def _forward(self, queries: Floats, rows: Floats, mask: Floats) -> Floats:
        torch = self._torch
        with torch.inference_mode():
            inputs = tuple(torch.from_numpy(each) for each in (queries[:, None], rows, mask))
            out = self._model(inputs)[0]  # one tensor, or one for each of several heads
            heads = torch.cat(out, -1) if isinstance(out, tuple) else out
            result: Floats = heads.reshape(len(queries), -1).numpy()
        return result


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Other processes use the other cores; and the learner, if it is in this process, gets its threads back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
