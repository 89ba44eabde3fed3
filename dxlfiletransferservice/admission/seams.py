"""What sessions need of those who decide what is let in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission
from dxlfiletransferservice.control.principals import Principal


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks for a session.

    Attributes:
        client_id: Its client on the fabric, as the broker says.
        public_key: Its key, which it has proven to have.
    """

    client_id: str
    public_key: str


class Visit(Protocol):
    """What a session is good for."""

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Carry out a request.

        Raises:
            RefusedError: It is not carried out; the text is for the peer alone.
        """
        ...

    def left(self, outcome: Outcome | None, text: str) -> None:
        """Hear that the session has ended: as the peer says, or ``None`` because it was silent."""
        ...


class Purpose(Protocol):
    """Decides who is let in for something."""

    def admit(self, admission: Admission, peer: Peer, session: str) -> Visit:
        """Begin a session.

        Args:
            admission: What the peer wants and shows.
            peer: Who it is.
            session: Name of the session.

        Raises:
            RefusedError: It is not let in; ``DENIED`` for wrong credentials.
        """
        ...


class Access(Protocol):
    """Checks credentials. Methods raise ``AuthenticationError`` for those that are not good.

    ``peer`` is whom wrong ones are counted against, beside the user.
    """

    def by_password(self, user: str, password: str, *, peer: str) -> Principal:
        """Return who has this name and password."""
        ...

    def by_token(self, token: str, password: str | None, *, peer: str) -> Principal:
        """Return whom an API token, or what a shared token, stands for."""
        ...

    def by_ticket(self, ticket: str) -> Principal:
        """Return who has logged on with this ticket; superuser if the session was."""
        ...

    def standing(self, *, user: str | None, token: str | None) -> str | None:
        """Return what is another one as soon as something of a user or token is changed.

        Args:
            user: Name of the user, or:
            token: The token. It is not looked at whether its secret is right.

        Returns:
            ``None`` if there is no such user or token, or it has expired.
        """
        ...

    def redeem(self, token: str, admission: str) -> None:
        """Count a download by a shared token; the same admission is counted once.

        Args:
            token: Id of the token (``Principal.token``).
            admission: Names the download.

        Raises:
            AuthenticationError: It has expired, or its limit is reached.
        """
        ...


class Confinement(Protocol):
    """Says where users are confined to."""

    def places(self, principal: Principal | None) -> Mapping[str, Path] | None:
        """Return the directories that somebody may write to, by the names they have for them.

        The empty name stands for a directory that is the root of everything; with other names, a
        path begins with one of them. ``None`` means the store of the server as a whole, as for
        anybody who is not confined.
        """
        ...
