"""Sends the curves of a run to Weights & Biases; the extra `wandb`. Its own environment variables say where to:
WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE=offline."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STEP = "timesteps"


class WandbTracker:
    """A run of Weights & Biases under the ID of the run, so that a resumed run continues it. Curves are over
    timesteps. What a killed process has sent beyond the checkpoint cannot be taken back: these timesteps are there
    twice."""

    def __init__(self, run: Path, run_id: str, settings: Mapping[str, Any]) -> None:
        """`run`: the run directory; wandb writes into its folder wandb/. Raises what wandb raises: no login, no
        connection, a wrong environment variable."""
        import wandb  # imported here because it is an extra, and slow

        self._wandb = wandb
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "rlbot"),
            id=run_id,
            name=run.name,
            dir=str(run),
            config=dict(settings),
            allow_val_change=True,  # a resumed run may have other settings
            resume="allow",
            settings=wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True),
        )
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log({**metrics, STEP: step})

    def pictures(self, step: int, pictures: Mapping[str, tuple[bytes, int, int]]) -> None:
        """Sends PNG files as images and GIF files as films."""
        from PIL import Image

        sent: dict[str, Any] = {}
        for name, (data, *_) in pictures.items():
            if data.startswith(b"GIF"):
                sent[name] = self._wandb.Video(io.BytesIO(data), format="gif")
            else:
                sent[name] = self._wandb.Image(Image.open(io.BytesIO(data)))
        self._run.log({**sent, STEP: step})

    def text(self, step: int, name: str, text: str) -> None:
        self._run.log({name: self._wandb.Html(text), STEP: step})

    def close(self) -> None:
        """Waits until everything is sent, and ends wandb's process."""
        self._run.finish()
        self._wandb.teardown()
