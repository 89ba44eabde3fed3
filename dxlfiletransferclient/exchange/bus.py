"""What the engine needs of a message bus: asking without waiting, and waiting for any answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for something that was asked.

    Attributes:
        token: What :meth:`Bus.ask` returned.
        parcel: What the answer carries, not verified yet; empty if it is an error.
        refusal: The error, if it is one; from the service, or from a broker (``NO_SERVICE``).
        service_id: The instance that answered; empty if a broker did.
    """

    token: int
    parcel: Parcel
    refusal: RefusedError | None = None
    service_id: str = ""


class Bus(Protocol):
    """A bus that carries requests at most once: any request or answer may get lost.

    All methods but :meth:`wake` are called by one thread at a time.
    """

    def now(self) -> float:
        """Return the time in seconds, on a clock that never goes back."""
        ...

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment; one that was lost may come back."""
        ...

    def ask(self, topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        """Send a request and return at once.

        Args:
            topic: Where to.
            parcel: What it carries.
            service_id: The instance that it goes to; empty for whichever the broker chooses.

        Returns:
            A token that the reply will have; no other request has it.

        Raises:
            NotConnectedError: There is no connection.
        """
        ...

    def wait(self, until: float) -> Sequence[Reply]:
        """Wait for replies to what was asked and not forgotten.

        Args:
            until: When to give up, on the clock of :meth:`now`; a time that has passed only
                collects what is there.

        Returns:
            The replies that have come, as soon as there is one; none when the time is over, after a
            :meth:`wake`, or when the connection was lost or has come back.
        """
        ...

    def forget(self, token: int) -> None:
        """Drop the reply to a request, should it still come; for one that is not waited for."""
        ...

    def wake(self) -> None:
        """End a :meth:`wait` of another thread, or the next one if none is going on."""
        ...
