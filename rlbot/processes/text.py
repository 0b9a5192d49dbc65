"""Text for any terminal, pipe or code page."""


def printable(text: str, keep: str = "") -> str:
    """Printable ASCII: other characters, but those in `keep`, become backslash escapes."""
    return "".join(c if " " <= c <= "~" or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)
