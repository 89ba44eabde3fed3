"""The ticket by which whoever runs a server is let in as a superuser, on the same machine."""

from pathlib import Path
from typing import Final

from dxlfabric.durablefiles import PRIVATE_MODE, write_file
from dxlfiletransferservice.control.identity.logins import Logins
from dxlfiletransferservice.control.principals import Principal

_LONGEST: Final = 1024
"""Bytes of the file that are read at most; a ticket has less than 100."""


class LocalTicket:
    """Writes a ticket that only the user can read who runs the server.

    Args:
        logins: Makes it.
        user: Name of that user.

    Example:
        >>> import tempfile
        >>> from dxlfiletransferservice.control.database import Database
        >>> logins = Logins(Database("sqlite://"))
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "local.ticket")
        ...     LocalTicket(logins, "ann").write(path)
        ...     logins.find(read_local_ticket(path)).user
        'ann'
    """

    def __init__(self, logins: Logins, user: str) -> None:
        self._logins = logins
        self._user = user

    def write(self, path: Path) -> None:
        """Write a new ticket in place of the one before, which is good for nothing afterwards.

        Args:
            path: The file, in a directory that exists.

        Raises:
            OSError: It cannot be written; the ticket before is good still.
        """
        principal = Principal(self._user, superuser=True, may_raise=True)
        ticket = self._logins.issue(principal, local=True)
        try:
            write_file(path, ticket.encode() + b"\n", mode=PRIVATE_MODE)
        except OSError:
            self._logins.drop(ticket)
            raise
        self._logins.drop_other_local(ticket)


def read_local_ticket(path: Path) -> str | None:
    """Return the ticket in a file; ``None`` if no server has written one, or there is none in it.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = file.read(_LONGEST)
    except FileNotFoundError:
        return None
    return found.decode("ascii", "replace").strip() or None
