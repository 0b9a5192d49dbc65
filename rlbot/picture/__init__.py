"""Pictures of matches without a browser: the field from above, as an array; clips of it; where ball and cars were."""

from rlbot.picture.topview import TopView

__all__ = ["TopView"]
