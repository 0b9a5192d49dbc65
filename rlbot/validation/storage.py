"""Checks that curves and checkpoints can be written and read."""

import tempfile
from pathlib import Path

from rlbot.validation.require import require


def tensorboard() -> str:
    from tensorboard.backend.event_processing import event_accumulator

    from rlbot.run import TensorBoard

    with tempfile.TemporaryDirectory() as folder:
        problems: list[str] = []
        writer = TensorBoard(Path(folder), warn=problems.append)
        writer.log(250_000, {"check/value": 0.5})
        writer.close()
        require(not problems, "; ".join(problems))
        curves = event_accumulator.EventAccumulator(folder).Reload()
        (point,) = curves.Scalars("check/value")
    require((point.step, point.value) == (250_000, 0.5), f"a point came back as {point}")
    return "curves can be written and read"


def checkpoints() -> str:
    import torch

    from rlbot.run import load_checkpoint, save_checkpoint

    weights = torch.randn(8, 8)
    with tempfile.TemporaryDirectory() as folder:
        content = {"model": {"w": weights}}, {"note": {"a": [1]}}
        path = save_checkpoint(Path(folder), 1, *content, run_id="check")
        tensors, documents = load_checkpoint(path)
    same = torch.equal(torch.as_tensor(tensors["model"]["w"]), weights) and documents == {"note": {"a": [1]}}
    require(same, "a checkpoint came back changed")
    return "can be written and read"
