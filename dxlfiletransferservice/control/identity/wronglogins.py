"""What is said to those who are not let in, by the server and by the commands alike."""

from typing import Final

WRONG_PASSWORD: Final = "the user or the password is wrong"  # noqa: S105 - a text, no password
"""The same for users that there are and that there are not."""

WRONG_TOKEN: Final = (  # a text, no token
    "the token or its password is wrong, or the token has expired or was deleted"  # noqa: S105
)
"""The same for all of them, so that nobody who guesses learns anything."""
