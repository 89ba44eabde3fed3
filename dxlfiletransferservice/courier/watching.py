"""Notices whether anybody answers at the other end."""

from collections.abc import Callable, Collection, Sequence

from dxlfiletransferclient.errors import NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.protocol.parcels import Parcel


class Touch:
    """Since when nothing was heard from a server that should have answered. No input or output.

    What jobs ask is counted by themselves, since they may be stopped: then nobody waits for the
    answer any more. Whatever else is asked, such as whether the server is there, is waited for
    until something is heard.

    Attributes:
        sent: When something was sent to it last; ``None`` for never.
        heard: When something was heard from it last.
    """

    def __init__(self) -> None:
        self.sent: float | None = None
        self.heard: float | None = None
        self._lost: float | None = None
        self._open = 0
        self._sought = False

    @property
    def lost_since(self) -> float | None:
        """Since when something is waited for in vain; ``None`` if nothing is."""
        return self._lost

    def asked(self, now: float, *, counted: bool = False) -> None:
        """Note that something was sent that is to be answered.

        Args:
            now: The time.
            counted: Whether it is what a job asks, which :meth:`opened` has told.
        """
        self.sent = now
        self._sought = self._sought or not counted
        self._lost = now if self._lost is None else self._lost

    def opened(self) -> None:
        """Note that a job is about to ask something."""
        self._open += 1

    def closed(self, count: int = 1) -> None:
        """Note that jobs do not wait for answers any more: they have them, or were stopped."""
        self._open -= count
        if not self._open and not self._sought:
            self._lost = None

    def answered(self, now: float) -> None:
        """Note that something was heard."""
        self.heard = now
        self._sought = False
        self._lost = now if self._open else None

    def cut(self, now: float) -> None:
        """Note that there is no connection."""
        self._sought = True
        self._lost = now if self._lost is None else self._lost


class WatchedBus(Bus):
    """A bus that notices whether it is answered by a service; brokers do not count.

    Args:
        bus: The bus.
        touch: Is told.
        service_id: Returns the service whose answers count; as long as it returns ``None``, none
            do.
        uncounted: Topics of what is asked by others than jobs.
    """

    def __init__(
        self,
        bus: Bus,
        touch: Touch,
        service_id: Callable[[], str | None],
        uncounted: Collection[str],
    ) -> None:
        self._bus = bus
        self._touch = touch
        self._service_id = service_id
        self._uncounted = uncounted

    def now(self) -> float:
        """Return the time of the bus."""
        return self._bus.now()

    @property
    def connected(self) -> bool:
        """Whether the bus has a connection."""
        connected = self._bus.connected
        if not connected:
            self._touch.cut(self._bus.now())
        return connected

    def ask(self, topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        """Ask on the bus.

        Raises:
            NotConnectedError: There is no connection.
        """
        try:
            token = self._bus.ask(topic, parcel, service_id=service_id)
        except NotConnectedError:
            self._touch.cut(self._bus.now())
            raise
        self._touch.asked(self._bus.now(), counted=topic not in self._uncounted)
        return token

    def wait(self, until: float) -> Sequence[Reply]:
        """Wait on the bus."""
        replies = self._bus.wait(until)
        awaited = self._service_id()
        if awaited and any(reply.service_id == awaited for reply in replies):
            self._touch.answered(self._bus.now())
        return replies

    def forget(self, token: int) -> None:
        """Forget on the bus."""
        self._bus.forget(token)

    def wake(self) -> None:
        """Wake the bus."""
        self._bus.wake()
