"""Having a service drop what nobody will go on with."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from dxlfiletransferclient.errors import NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import AbortRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of

logger = logging.getLogger(__name__)

ABORT_TIMEOUT: Final = 5.0
"""Seconds that it may take to abort files after a call failed.

The caller waits for it, mostly in vain; what is not cleared away so, the service removes by itself
after a while.
"""


class AbortJob:
    """Has the service drop a file; a :class:`~dxlfiletransferclient.exchange.jobs.Job`.

    Its failure is logged and goes no further: that the file failed is what matters to the caller.

    Args:
        request: Which file, and why.
        settled: Is called when the service has answered, whatever it did.
    """

    def __init__(self, request: AbortRequest, settled: Callable[[], object]) -> None:
        self._request = request
        self._settled = settled
        self._outstanding = False
        self.finished = False

    def due(self) -> float | None:
        """Return that it waits for nothing but its answer."""
        return None

    def next(self, room: int, now: float) -> Ask | None:  # noqa: ARG002 - it costs nothing
        """Return the ask, unless it is on its way."""
        if self._outstanding or self.finished:
            return None
        self._outstanding = True
        return Ask(Verb.ABORT, partial(encode, self._request))

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:  # noqa: ARG002
        """End; whatever the answer says."""
        self.finished = True
        self._settled()

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:  # noqa: ARG002
        """End: the file stays with the service until it expires there."""
        self.failed(error)
        self._settled()

    def moved(self, now: float) -> None:  # noqa: ARG002
        """Ask again."""
        self._outstanding = False

    def failed(self, error: BaseException) -> None:
        """End: the file stays with the service until it expires there."""
        self.finished = True
        logger.warning("Could not abort file %r: %s", self._request.file_id, error)


def abort_at_once(
    bus: Bus, store_topic: str, service_id: str, requests: Iterable[AbortRequest]
) -> None:
    """Have a service drop files after the call that sent them has failed as a whole.

    It is tried once and shortly, and a failure is logged.

    Args:
        bus: The bus; nobody else waits on it any more.
        store_topic: Topic on which the service takes store requests.
        service_id: The instance that has the files.
        requests: Which files, and why.
    """
    topic = topic_of(Verb.ABORT, store_topic)
    waiting: set[int] = set()
    try:
        waiting.update(
            bus.ask(topic, encode(request), service_id=service_id) for request in requests
        )
    except NotConnectedError as error:
        logger.warning("Could not abort what is under way: %s", error)
    deadline = bus.now() + ABORT_TIMEOUT
    while waiting and bus.now() < deadline:
        waiting.difference_update(reply.token for reply in bus.wait(deadline))
    for token in waiting:
        bus.forget(token)
    if waiting:
        logger.warning("%d aborts were not answered within %g s", len(waiting), ABORT_TIMEOUT)
