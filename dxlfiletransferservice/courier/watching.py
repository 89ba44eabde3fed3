"""Notices whether anybody answers at the other end."""

from collections.abc import Sequence

from dxlfiletransferclient.errors import NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.protocol.parcels import Parcel


class Touch:
    """Since when nothing was heard from a server that should have answered. No input or output.

    Attributes:
        sent: When something was sent to it last; ``None`` for never.
        heard: When something was heard from it last.
    """

    def __init__(self) -> None:
        self.sent: float | None = None
        self.heard: float | None = None
        self._lost: float | None = None

    @property
    def lost_since(self) -> float | None:
        """Since when something is waited for in vain; ``None`` if nothing is."""
        return self._lost

    def asked(self, now: float) -> None:
        """Note that something was sent that is to be answered."""
        self.sent = now
        self._lost = now if self._lost is None else self._lost

    def answered(self, now: float, *, waiting: bool) -> None:
        """Note that something was heard.

        Args:
            now: The time.
            waiting: Whether something else is waited for.
        """
        self.heard = now
        self._lost = now if waiting else None

    def cut(self, now: float) -> None:
        """Note that there is no connection."""
        self._lost = now if self._lost is None else self._lost


class WatchedBus(Bus):
    """A bus that notices whether it is answered by services; brokers do not count.

    Args:
        bus: The bus.
        touch: Is told.
    """

    def __init__(self, bus: Bus, touch: Touch) -> None:
        self._bus = bus
        self._touch = touch
        self._waiting: set[int] = set()

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
        self._touch.asked(self._bus.now())
        self._waiting.add(token)
        return token

    def wait(self, until: float) -> Sequence[Reply]:
        """Wait on the bus."""
        replies = self._bus.wait(until)
        heard = False
        for reply in replies:
            self._waiting.discard(reply.token)
            heard = heard or bool(reply.service_id)
        if heard:
            self._touch.answered(self._bus.now(), waiting=bool(self._waiting))
        return replies

    def forget(self, token: int) -> None:
        """Forget on the bus."""
        self._waiting.discard(token)
        self._bus.forget(token)

    def wake(self) -> None:
        """Wake the bus."""
        self._bus.wake()
