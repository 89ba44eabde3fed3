"""Which server is behind a destination, and when something was sent to it and heard from it."""

from collections.abc import Collection
from typing import Final

from dxlfiletransferclient.errors import FileTransferError, brief
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferservice.control.database import now_us
from dxlfiletransferservice.courier.seams import Contact, Work
from dxlfiletransferservice.courier.watching import Touch

_MICROSECONDS: Final = 1_000_000


class ReceiverAwayError(FileTransferError):
    """There is a receiver, but not the one that has the files which are through."""


def choose_receiver(
    engine: Engine, wanted: str | None, *, begun_at: Collection[str] = (), patient: bool = False
) -> None:
    """Have an engine use the instance that a destination names, best one that has files of it.

    Args:
        engine: A connected engine.
        wanted: Name, persistent id, store id or service id; ``None`` for whichever there is.
        begun_at: Store ids of the receivers that have files of transfers which are not through.
        patient: Whether to raise rather than use another one than those.

    Raises:
        FileTransferError: There is no such instance; the text tells which there are.
        ReceiverAwayError: None of those that have files of it is there.
    """
    fitting = [each for each in engine.instances if wanted is None or wanted in _names(each)]
    if not fitting:
        there = ", ".join(sorted(brief(_names(each)[0]) for each in engine.instances)) or "none"
        raise FileTransferError(
            f"there is no server {brief(wanted or '')} on that fabric at the moment, only: {there}"
        )
    known = [each for each in fitting if each.hello.store_id in begun_at]
    if begun_at and patient and not known:
        raise ReceiverAwayError(
            "the server that has a part of what is to be sent is not there at the moment; another "
            "one is, and gets everything if that stays so"
        )
    candidates = known or fitting
    if all(each.service_id != engine.service_id for each in candidates):
        engine.pin(candidates[0])


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
        self._server_id = ""
        self._receiver_id: str | None = None

    def due(self, engine: Engine) -> bool:
        """Whether another instance is in use than was written down."""
        return engine.service_id != self._server_id

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
            self._server_id = engine.service_id
            self._work.contacted(self._destination_id, contact)


def _names(instance: Instance) -> tuple[str, ...]:
    hello = instance.hello
    names = (hello.server_name, hello.server_uid, hello.store_id, instance.service_id)
    return tuple(name for name in names if name)


def _since_1970(time: float | None, now: float) -> int | None:
    return None if time is None else now_us() - int((now - time) * _MICROSECONDS)
