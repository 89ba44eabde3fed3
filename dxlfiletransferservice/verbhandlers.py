"""Requests of version 2 on the bus, answered by a desk."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from dxlclient.callbacks import RequestCallback
from dxlclient.message import ErrorResponse, Request, Response

from dxlfabric.lightmessages import payload_of
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.coding import encode_refusal
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.limits import MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.publictext import printable

BUSY_SECONDS: Final = 0.5
"""Seconds after which a client may ask again when too many answers wait to be sent.

By then, even a connection of 10 Mbit/s has carried some hundred kilobytes away.
"""

LARGE_ANSWERS: Final = frozenset({Verb.RETRIEVE, Verb.LIST})
"""Verbs whose answers may be a thousand times larger than the requests."""

WRITING_VERBS: Final = frozenset(
    {Verb.OPEN, Verb.SEGMENT, Verb.FINISH, Verb.ABORT, Verb.BATCH, Verb.REMOVE}
)
"""Verbs that change what is stored or under way."""

_LEVELS: Final = {
    # What happens where nobody has made a mistake: lost messages, restarts, files that come and go.
    ErrorCode.CORRUPT: logging.DEBUG,
    ErrorCode.UNKNOWN_TRANSFER: logging.DEBUG,
    ErrorCode.NOT_FOUND: logging.DEBUG,
    ErrorCode.CHANGED: logging.DEBUG,
    ErrorCode.BUSY: logging.DEBUG,
    ErrorCode.CLOSING: logging.DEBUG,
    ErrorCode.UNKNOWN_SESSION: logging.DEBUG,
    # What somebody has to do something about.
    ErrorCode.STORAGE_FULL: logging.ERROR,
    ErrorCode.STORAGE_FAILED: logging.ERROR,
    ErrorCode.INTERNAL: logging.ERROR,
}

_logger = logging.getLogger(__name__)


class AnsweringDesk(Protocol):
    """What the callbacks need of a :class:`~dxlfiletransferclient.protocol.desk.Desk`."""

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Carry out one request, or raise ``RefusedError``."""
        ...


class ResponseSender(Protocol):
    """What the callbacks need of a ``DxlClient``."""

    def send_response(self, response: Response) -> None:
        """Send an answer."""
        ...


class VerbRequestCallback(RequestCallback):
    """Answers the requests of one verb with what a desk makes of them.

    `dxlclient` calls `on_request` on the threads of its incoming message pool, never on its network
    thread. The payload is handed on as it came, in both directions, without a copy.

    Args:
        dxl_client: The connected client through which answers are sent.
        desk: Answers the requests; ``None`` where a subclass does.
        verb: What requests on this callback's topic ask for.
        log: Where refusals are noted; callbacks that share one are bounded together.
        crowded: Whether so many answers wait to be sent that there should be no more large ones.
        refuse_plain: Returns what requests that change something are refused with at the moment,
            or ``None``.
    """

    def __init__(
        self,
        dxl_client: ResponseSender,
        desk: AnsweringDesk | None,
        verb: Verb,
        *,
        log: BoundedLog | None = None,
        crowded: Callable[[], bool] | None = None,
        refuse_plain: Callable[[], RefusedError | None] | None = None,
    ) -> None:
        super().__init__()
        self._dxl_client = dxl_client
        self._new_response = getattr(dxl_client, "new_response", Response)
        self._desk = desk
        self._verb = verb
        self._log = log or BoundedLog(_logger)
        self._crowded = crowded if verb in LARGE_ANSWERS else None
        self._refuse_plain = refuse_plain if verb in WRITING_VERBS else None

    def on_request(self, request: Request) -> None:
        """Carry out a request and answer it.

        Nothing is raised: whatever goes wrong becomes an error response, and a line in the log
        where somebody made a mistake (a warning) or the service failed (an error).

        Args:
            request: The request, a parcel in its ``other_fields`` and payload.
        """
        try:
            response = self._carry_out(request)
        except RefusedError as error:
            level = _LEVELS.get(ErrorCode.of(error.code) or ErrorCode.INTERNAL, logging.WARNING)
            self._note(level, request, error.message)
            response = _refusal(request, error)
        except Exception as error:  # noqa: BLE001 - it is logged, and the next request is served
            self._note(logging.ERROR, request, "it failed in a way not foreseen", error)
            internal = RefusedError(ErrorCode.INTERNAL, ErrorCode.INTERNAL.meaning)
            response = _refusal(request, internal)
        self._send(response)

    def _carry_out(self, request: Request) -> Response:
        if self._crowded is not None and self._crowded():
            text = "too many answers wait to be sent"
            raise RefusedError(ErrorCode.BUSY, text, BUSY_SECONDS)
        if self._refuse_plain is not None:
            refusal = self._refuse_plain()
            if refusal is not None:
                raise refusal
        payload: object = payload_of(request)
        # Whatever msgpack has may arrive as a payload: numbers, lists, nothing.
        if not isinstance(payload, (bytes, memoryview)):
            raise RefusedError(ErrorCode.INVALID, f"the payload is {brief(payload)} and no bytes")
        answer = self._answer(request, Parcel(request.other_fields, payload))
        return _filled(self._new_response(request), answer)

    def _answer(self, _request: Request, parcel: Parcel) -> Parcel:
        """Return what the answer to a request carries, or raise ``RefusedError``."""
        if self._desk is None:
            raise NotImplementedError
        return self._desk.answer(self._verb, parcel)

    def _note(
        self, level: int, request: Request, text: str, error: Exception | None = None
    ) -> None:
        client = printable(request.source_client_id)
        self._log.write(
            level, "Refused %s of client %s: %s", self._verb, client, printable(text), error=error
        )

    def _send(self, response: Response) -> None:
        try:
            self._dxl_client.send_response(response)
        except Exception as error:  # noqa: BLE001 - it is logged, and the client asks again
            self._log.write(
                logging.ERROR, "Cannot send the answer to a request: %s", self._verb, error=error
            )


def verb_callbacks(
    dxl_client: ResponseSender,
    desk: Desk,
    store_topic: str,
    *,
    crowded: Callable[[], bool] | None = None,
    refuse_plain: Callable[[], RefusedError | None] | None = None,
) -> dict[str, RequestCallback]:
    """Return what answers the requests on each topic of version 2.

    Args:
        dxl_client: The connected client through which answers are sent.
        desk: Answers the requests; there is a topic for each verb that it offers.
        store_topic: The topic that those of version 2 begin with.
        crowded: Whether so many answers wait to be sent that there should be no more large ones.
        refuse_plain: Returns what requests that change something are refused with at the moment,
            or ``None``.
    """
    log = BoundedLog(_logger)
    return {
        topic_of(verb, store_topic): VerbRequestCallback(
            dxl_client, desk, verb, log=log, crowded=crowded, refuse_plain=refuse_plain
        )
        for verb in sorted(desk.verbs)
    }


def _refusal(request: Request, error: RefusedError) -> Response:
    # What cannot be encoded as UTF-8 would make an answer that cannot be sent.
    text = printable(error.message, MAX_REASON_LENGTH)
    parcel = encode_refusal(RefusedError(error.code, text, error.retry_after))
    return _filled(ErrorResponse(request, error.code, text), parcel)


def _filled(response: Response, parcel: Parcel) -> Response:
    response.other_fields = dict(parcel.fields)
    response.payload = parcel.payload  # type: ignore[assignment]  # any buffer will do
    return response
