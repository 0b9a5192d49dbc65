"""The field from above as a small RGB picture, for Gymnasium's render() and for videos.

Blue's goal is on the left. The higher ball and cars are, the larger they are drawn, and the further from their shadow.
The bar below a car shows its boost.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rlbot.sim import PAD_COOLDOWN, PAD_POSITION, State

WIDTH, HEIGHT = 640, 440  # pixels
_FINE = 2  # pictures are drawn larger by this factor and then reduced, for smooth edges
_SCALE = WIDTH * _FINE / 12_600  # pixels per uu
_HALF_LENGTH, _HALF_WIDTH, _CORNER = 5120, 4096, 1152  # uu
_GOAL_HALF_WIDTH, _GOAL_DEPTH = 893, 880
_BALL_RADIUS = 91.25 * 1.35  # ball and cars are drawn larger than they are, as the picture is small
_CAR = (
    np.array([(1.0, 0.0), (0.62, 0.62), (-1.0, 0.62), (-1.0, -0.62), (0.62, -0.62)]) * 105
)  # uu, ahead and to the side
_TRAIL = 24  # frames
_TEAM = ((62, 146, 255), (255, 145, 45))
_LIGHT = ((150, 200, 255), (255, 205, 150))
_OUTLINE = ((12, 20, 30), (255, 255, 255), (160, 168, 176))  # of the first, second and third car of a team
_GOLD, _DARK = (255, 205, 70), (42, 56, 60)
_SHADOW = (18, 34, 32)
_GREYS = [(shade, shade, shade) for shade in (60, 95, 130, 165, 200, 230, 255)]
MOVING = (*_TEAM, *_LIGHT, _GOLD, _DARK, _SHADOW, *_GREYS)  # colours of everything but the field


class TopView:
    """Draws the states of one arena in the order of time, with a trail of the last positions of the ball."""

    def __init__(self) -> None:
        self._field = draw_field()
        self._font = ImageFont.load_default(size=16)
        self._trail: deque[tuple[float, float]] = deque(maxlen=_TRAIL)

    def clear(self) -> None:
        """Removes the trail, for a new episode."""
        self._trail.clear()

    def draw(self, state: State, seconds: float | None = None, arena: int = 0) -> NDArray[np.uint8]:
        """Returns one arena of a state as (440, 640, 3), with the score, and the time if `seconds` is given."""
        image = self._field.copy()
        pen = ImageDraw.Draw(image)
        for position, cooldown, timer in zip(PAD_POSITION, PAD_COOLDOWN, state.pad_timer[arena], strict=True):
            x, y = _pixel(position)
            _circle(pen, x, y, 5.5 if cooldown > 5 else 3, _GOLD if timer <= 0 else _DARK)
        x, y, z = state.ball_pos[arena].tolist()
        self._trail.append(_pixel((x, y)))
        for age, (before, after) in enumerate(zip(list(self._trail), list(self._trail)[1:], strict=False)):
            shade = 60 + int(130 * (age + 1) / len(self._trail))
            pen.line((before, after), fill=(shade, shade, shade), width=2 + age // 4)
        slots = np.flatnonzero((state.present[arena] > 0) & (state.car_is_demoed[arena] == 0)).tolist()
        _circle(pen, *_pixel((x, y)), _BALL_RADIUS * _SCALE / _FINE, _SHADOW)
        for slot in sorted(slots, key=lambda slot: float(state.car_pos[arena, slot, 2])):
            _draw_car(pen, state, arena, slot)
        at = _raised(x, y, z)
        _circle(pen, *at, _larger(_BALL_RADIUS, z) * _SCALE / _FINE, (244, 246, 250), (90, 98, 108))
        small = image.reduce(_FINE)
        self._write(ImageDraw.Draw(small), state, arena, seconds)
        return np.array(small)

    def _write(self, pen: ImageDraw.ImageDraw, state: State, arena: int, seconds: float | None) -> None:
        goals = int(state.blue_score[arena]), int(state.orange_score[arena])
        for team, at in ((0, WIDTH // 2 - 50), (1, WIDTH // 2 + 42)):
            pen.text((at, 2), str(goals[team]), fill=_LIGHT[team], font=self._font)
        if seconds is not None:
            text = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
            pen.text((WIDTH // 2 - 4 * len(text), 2), text, fill=(235, 235, 235), font=self._font)


def _draw_car(pen: ImageDraw.ImageDraw, state: State, arena: int, slot: int) -> None:
    team, place = divmod(slot, state.team_slots)
    x, y, z = state.car_pos[arena, slot].tolist()
    ahead = state.car_forward[arena, slot, :2].astype(float)
    ahead /= max(float(np.linalg.norm(ahead)), 1e-3)
    aside = np.array([-ahead[1], ahead[0]])
    low = [_pixel((x + a * ahead[0] + b * aside[0], y + a * ahead[1] + b * aside[1])) for a, b in _CAR]
    pen.polygon(low, fill=_SHADOW)
    if state.car_is_supersonic[arena, slot]:
        tail = _raised(x - 330 * ahead[0], y - 330 * ahead[1], z)
        pen.line((_raised(x, y, z), tail), fill=_LIGHT[team], width=3)
    body = _larger(1, z) * _CAR
    corners = [_raised(x + a * ahead[0] + b * aside[0], y + a * ahead[1] + b * aside[1], z) for a, b in body]
    pen.polygon(corners, fill=_TEAM[team], outline=_OUTLINE[place], width=2)
    pen.line((corners[1], corners[0], corners[4]), fill=(255, 255, 255), width=3)
    left, top = _raised(x, y, z)
    left, top = left - 16, top + 17
    boost = 32 * float(np.clip(state.car_boost[arena, slot], 0, 100)) / 100
    pen.rectangle((left, top, left + 32, top + 4), fill=_DARK)
    pen.rectangle((left, top, left + boost, top + 4), fill=_GOLD)


def _pixel(position: tuple[float, float] | NDArray[np.float32]) -> tuple[float, float]:
    """Returns the pixel of a position on the floor, in the larger picture: blue left, x = +4096 uu at the top."""
    return WIDTH * _FINE / 2 + float(position[1]) * _SCALE, HEIGHT * _FINE / 2 - float(position[0]) * _SCALE


def _raised(x: float, y: float, z: float) -> tuple[float, float]:
    """Returns the pixel of a position in the air, which is higher up in the picture."""
    across, down = _pixel((x, y))
    return across, down - max(z - 100, 0) * 0.16 * _SCALE


def _larger(size: float, z: float) -> float:
    return size * (1 + max(z - 100, 0) / 2600)


def _circle(
    pen: ImageDraw.ImageDraw,
    x: float,
    y: float,
    radius: float,
    fill: tuple[int, int, int],
    outline: tuple[int, int, int] | None = None,
) -> None:
    """Draws a circle; `radius` is in pixels of the small picture."""
    r = radius * _FINE
    pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=2)


def draw_field() -> Image.Image:
    """Returns the empty field, twice as large as the pictures."""
    image = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), (14, 19, 28))
    pen = ImageDraw.Draw(image)
    for side, color in ((-1, (30, 62, 110)), (1, (110, 62, 26))):
        _box(pen, side * _HALF_LENGTH, side * (_HALF_LENGTH + _GOAL_DEPTH), _GOAL_HALF_WIDTH, fill=color)
    stripes = 20
    for k in range(stripes):
        share = (k + 0.5) / stripes
        dark = 0.92 if k % 2 else 1.0
        red, green, blue = (dark * (a + (b - a) * share) for a, b in ((34, 104), (74, 74), (104, 44)))
        start, stop = ((2 * (k + i) / stripes - 1) * _HALF_LENGTH for i in (0, 1))
        _box(pen, start, stop, _HALF_WIDTH, fill=(int(red), int(green), int(blue)))
    for x in (-1, 1):
        for y in (-1, 1):
            cut = (
                (x * _HALF_WIDTH, y * _HALF_LENGTH),
                (x * (_HALF_WIDTH - _CORNER), y * _HALF_LENGTH),
                (x * _HALF_WIDTH, y * (_HALF_LENGTH - _CORNER)),
            )
            pen.polygon([_pixel(each) for each in cut], fill=(14, 19, 28))
    line = (196, 208, 216)
    pen.line((_pixel((-_HALF_WIDTH, 0)), _pixel((_HALF_WIDTH, 0))), fill=line, width=3)
    left, top = _pixel((915, -915))
    right, bottom = _pixel((-915, 915))
    pen.ellipse((left, top, right, bottom), outline=line, width=3)
    for side, light in ((-1, _LIGHT[0]), (1, _LIGHT[1])):
        _box(pen, side * _HALF_LENGTH, side * (_HALF_LENGTH - 1400), 1800, outline=light)
        edge = side * _HALF_LENGTH
        pen.line((_pixel((-_GOAL_HALF_WIDTH, edge)), _pixel((_GOAL_HALF_WIDTH, edge))), fill=light, width=6)
    return image


def _box(
    pen: ImageDraw.ImageDraw,
    start: float,
    stop: float,
    half_width: float,
    fill: tuple[int, int, int] | None = None,
    outline: tuple[int, int, int] | None = None,
) -> None:
    """Draws a rectangle from y = start to y = stop, between x = -half_width and half_width (uu)."""
    (x0, y0), (x1, y1) = _pixel((half_width, min(start, stop))), _pixel((-half_width, max(start, stop)))
    pen.rectangle((x0, y0, x1, y1), fill=fill, outline=outline, width=3)
