"""Which server is behind a destination, and when something was sent to it and heard from it."""

from typing import Final

from dxlfiletransferclient.errors import FileTransferError, brief
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferservice.control.database import now_us
from dxlfiletransferservice.courier.seams import Contact, Work
from dxlfiletransferservice.courier.watching import Touch

_MICROSECONDS: Final = 1_000_000


def choose_receiver(engine: Engine, wanted: str | None) -> None:
    """Have an engine use the instance that a destination names.

    Args:
        engine: A connected engine.
        wanted: Name, persistent id, store id or service id; ``None`` for whichever there is.

    Raises:
        FileTransferError: There is no such instance; the text tells which there are.
    """
    if wanted is None:
        return
    for instance in engine.instances:
        if wanted in _names(instance):
            engine.pin(instance)
            return
    there = ", ".join(sorted(brief(_names(each)[0]) for each in engine.instances)) or "none"
    raise FileTransferError(
        f"there is no server {brief(wanted)} on that fabric at the moment, only: {there}"
    )


class ContactNotes:
    """Writes down which server is behind a destination, as far as that has changed.

    Args:
        work: Takes it.
        destination_id: The destination.
        touch: Knows when something was sent and heard.
    """

    def __init__(self, work: Work, destination_id: int, touch: Touch) -> None:
        self._work = work
        self._destination_id = destination_id
        self._touch = touch
        self._written: tuple[object, ...] = ()
        self._receiver_id: str | None = None

    def pinged(self, service_id: str) -> None:
        """Note which instance has answered a ping."""
        self._receiver_id = service_id

    def write(self, engine: Engine, now: float) -> None:
        """Write down what has changed.

        Args:
            engine: Knows the instance in use.
            now: The time on the clock of the engine.
        """
        hello = engine.hello
        contact = Contact(
            server_id=engine.service_id,
            server_uid=hello.server_uid or hello.store_id,
            receiver_id=self._receiver_id,
            sent_us=_since_1970(self._touch.sent, now),
            received_us=_since_1970(self._touch.heard, now),
        )
        known = contact.server_id, contact.receiver_id, self._touch.sent, self._touch.heard
        if known != self._written:
            self._written = known
            self._work.contacted(self._destination_id, contact)


def _names(instance: Instance) -> tuple[str, ...]:
    hello = instance.hello
    names = (hello.server_name, hello.server_uid, hello.store_id, instance.service_id)
    return tuple(name for name in names if name)


def _since_1970(time: float | None, now: float) -> int | None:
    return None if time is None else now_us() - int((now - time) * _MICROSECONDS)
