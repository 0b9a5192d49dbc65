"""Makes text printable on any terminal, pipe or code page."""


def printable(text: str, keep: str = "") -> str:
    """Returns printable ASCII: other characters, except those in `keep`, become backslash escapes."""
    return "".join(c if " " <= c <= "~" or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)
