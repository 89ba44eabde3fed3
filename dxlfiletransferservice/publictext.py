"""Text that came from outside, made safe for a log line and an answer."""

from typing import Final

MAX_TEXT: Final = 300
"""Characters of an error answer: enough for a sentence and a name, too few to amplify a request."""


def printable(text: str, most: int = MAX_TEXT) -> str:
    r"""Return a text on one line, without control characters and of bounded length.

    Args:
        text: Any text.
        most: Characters that it may have; a cut shows as the last one.

    Example:
        >>> printable("a\nb")
        'a?b'
    """
    shown = "".join(each if each.isprintable() else "?" for each in text[:most])
    return shown if len(text) <= most else shown[: most - 1] + "…"
