"""Players that are named by the path of their weights, such as nexto:PATH."""

BUILT_IN = {"nexto": "rlbot.bots.Nexto", "necto": "rlbot.bots.Necto"}  # the class of each


def weights_of(name: str) -> str | None:
    """Returns PATH of nexto:PATH and necto:PATH; None for every other name."""
    kind, colon, path = name.partition(":")
    return path if colon and kind in BUILT_IN else None


def with_weights(name: str, path: str) -> str:
    """Returns the name of the same player with its weights at another path."""
    return f"{name.partition(':')[0]}:{path}"
