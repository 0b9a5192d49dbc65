"""Videos of a match from above: an animated GIF with Pillow, an MP4 if imageio and its ffmpeg are installed."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlbot.picture.topview import MOVING, TopView, draw_field
from rlbot.sim import State

_FIELD_COLORS = 24  # colours of a GIF for the field; MOVING are added


def frames(
    states: State,
    ticks: NDArray[np.int32],
    tick_rate: int,
    per_second: float,
    start: float = 0.0,
    stop: float | None = None,
    small: bool = False,
) -> Iterator[NDArray[np.uint8]]:
    """Yields pictures (H, W, 3) of one arena, `per_second` for each second of play.

    `states`: frame t as arena t, at `ticks` (T,). `start` and `stop`: seconds; None means the end. `small`: half the
    width and height.
    """
    view = TopView()
    last = int(ticks[-1]) if stop is None else min(int(ticks[-1]), round(stop * tick_rate))
    shown = -1
    for tick in np.arange(max(start * tick_rate, ticks[0]), last + 1, tick_rate / per_second):
        t = int(np.searchsorted(ticks, tick, "right")) - 1
        if shown >= 0 and (np.diff(ticks[shown : t + 1]) == 0).any():
            view.clear()
        picture = view.draw(states, float(ticks[t]) / tick_rate, t)
        yield np.asarray(Image.fromarray(picture).reduce(2)) if small else picture
        shown = t


def write_gif(file: Path | BinaryIO, pictures: Iterable[NDArray[np.uint8]], per_second: float) -> None:
    """Writes an animated GIF that repeats. Raises OSError if it cannot be written."""
    colors = _palette()
    images = (Image.fromarray(each).quantize(palette=colors, dither=Image.Dither.NONE) for each in pictures)
    first, duration = next(images), round(1000 / per_second)
    first.save(file, "GIF", save_all=True, append_images=images, duration=duration, loop=0, optimize=True)


def _palette() -> Image.Image:
    """Returns the colours for all pictures. Pillow's own choice has only colours of the field, and cars become grey."""
    field = draw_field().reduce(4).quantize(_FIELD_COLORS).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(field[: 3 * _FIELD_COLORS] + [part for color in MOVING for part in color])
    return palette


def write_mp4(path: Path, pictures: Iterable[NDArray[np.uint8]], per_second: float) -> None:
    """Writes an MP4. Raises ValueError if imageio or its ffmpeg is not installed, OSError if writing fails."""
    try:
        import imageio.v2 as imageio

        writer = imageio.get_writer(path, fps=per_second, macro_block_size=None)
    except (ImportError, ValueError) as error:
        raise ValueError("an MP4 needs ffmpeg: pip install imageio imageio-ffmpeg; a GIF needs nothing") from error
    with writer:
        for each in pictures:
            writer.append_data(each)
