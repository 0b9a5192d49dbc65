"""Short films of a match from above: an animated GIF with Pillow, an MP4 where imageio and its ffmpeg are installed."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlbot.picture.topview import MOVING, TopView, draw_field
from rlbot.sim import State

_FIELD_COLORS = 24  # of a GIF, beside those of what moves


def frames(
    states: State,
    ticks: NDArray[np.int32],
    tick_rate: int,
    per_second: float,
    start: float = 0.0,
    stop: float | None = None,
    small: bool = False,
) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H, W, 3) of T frames of one arena: `states`, frame t as arena t, at `ticks` (T,).

    `per_second` of them for a second of play, from `start` to `stop` (s; None: the end); `small` ones are half as wide.
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
    """Raises OSError."""
    colors = _palette()
    images = (Image.fromarray(each).quantize(palette=colors, dither=Image.Dither.NONE) for each in pictures)
    first, duration = next(images), round(1000 / per_second)
    first.save(file, "GIF", save_all=True, append_images=images, duration=duration, loop=0, optimize=True)


def _palette() -> Image.Image:
    """Colours for all pictures: chosen from each by itself, they would be those of the field, and cars grey."""
    field = draw_field().reduce(4).quantize(_FIELD_COLORS).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(field[: 3 * _FIELD_COLORS] + [part for color in MOVING for part in color])
    return palette


def write_mp4(path: Path, pictures: Iterable[NDArray[np.uint8]], per_second: float) -> None:
    """Raises ValueError if imageio or its ffmpeg is not installed, OSError if the file cannot be written."""
    try:
        import imageio.v2 as imageio

        writer = imageio.get_writer(path, fps=per_second, macro_block_size=None)
    except (ImportError, ValueError) as error:
        raise ValueError("an MP4 needs ffmpeg: pip install imageio imageio-ffmpeg; a GIF needs nothing") from error
    with writer:
        for each in pictures:
            writer.append_data(each)
