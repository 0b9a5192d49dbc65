"""Pictures of matches without a browser: the field from above as an array, videos of it, and heat maps."""

from rlbot.picture.topview import TopView

__all__ = ["TopView"]
