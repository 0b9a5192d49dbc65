"""Values of settings and results, as numbers and as short text."""

import math

_WIDTH = 24  # of a cell in a table, of a label in a plot


def number(text: str) -> float | None:
    """The number that `text` is, if it is one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def shown(value: object) -> str:
    """A number in four digits, anything else as it is but not too long, "-" for nothing."""
    if value is None:
        return "-"
    parsed, text = number(str(value)), str(value)
    if parsed is None:
        return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
    return str(int(parsed)) if parsed == int(parsed) and abs(parsed) < 1e12 else f"{parsed:.4g}"
