"""How a check fails."""

from typing import Any


def require(holds: Any, fault: str) -> None:
    """Raises ValueError with `fault` unless `holds`."""
    if not holds:
        raise ValueError(fault)
