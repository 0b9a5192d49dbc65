"""Convert values of settings and results to numbers and to short text."""

import math

_WIDTH = 24  # largest width of a cell in a table or a label in a plot


def number(text: str) -> float | None:
    """`text` as a finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def shown(value: object) -> str:
    """A number with four digits, other values as text of limited length, "-" for None."""
    if value is None:
        return "-"
    parsed, text = number(str(value)), str(value)
    if parsed is None:
        return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
    return str(int(parsed)) if parsed == int(parsed) and abs(parsed) < 1e12 else f"{parsed:.4g}"
