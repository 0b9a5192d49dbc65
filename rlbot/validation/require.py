"""The function with which a check fails."""

from typing import Any


def require(holds: Any, fault: str) -> None:
    """Raises ValueError with the text `fault` if `holds` is false."""
    if not holds:
        raise ValueError(fault)
