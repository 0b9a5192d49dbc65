"""Ramps: numbers that change linearly during the training."""

from dataclasses import dataclass
from typing import Any

KEYS = {"from", "to", "over"}


@dataclass(frozen=True)
class Ramp:
    """A number that goes linearly from `start` to `end` within `over` timesteps, and then stays at `end`. In settings
    it is {from: start, to: end, over: timesteps}."""

    start: float
    end: float
    over: int

    def at(self, timesteps: int) -> float:
        """Returns the number `timesteps` after the ramp began."""
        done = min(max(timesteps / self.over, 0.0), 1.0)
        return (1.0 - done) * self.start + done * self.end  # exactly `start` and `end` at its ends

    @classmethod
    def of(cls, document: Any) -> "float | Ramp":
        """Returns the number or the ramp that `document` wrote."""
        return cls(*(document[name] for name in ("from", "to", "over"))) if isinstance(document, dict) else document

    def document(self) -> dict[str, float]:
        """Returns the form that settings have."""
        return {"from": self.start, "to": self.end, "over": self.over}


def value_at(number: float | Ramp, timesteps: int) -> float:
    """Returns a number, or the value of a ramp `timesteps` after it began."""
    return number.at(timesteps) if isinstance(number, Ramp) else number


def example(number: float | Ramp) -> float:
    """Returns a number, or an end of the ramp that is not 0 if there is one: what a check before training is made with,
    so that it really uses a reward term whose weight is 0 at first."""
    return number if not isinstance(number, Ramp) else number.start or number.end


def shown_ramp(number: float | Ramp) -> str:
    """Like "0.001" or "0.001 to 0.0001 within 2000000 timesteps"."""
    return (
        f"{number.start:g} to {number.end:g} within {number.over} timesteps"
        if isinstance(number, Ramp)
        else f"{number:g}"
    )
