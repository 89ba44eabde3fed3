"""Asks a service by hand, request by request: what a test needs to see the wire of version 2."""

import hashlib
from typing import TypeVar

from dxlclient.client import DxlClient
from dxlclient.message import ErrorResponse, Request, Response

from dxlfiletransferclient.protocol.coding import decode, decode_refusal, encode
from dxlfiletransferclient.protocol.messages import (
    BatchAnswer,
    BatchEntry,
    BatchRequest,
    EntryResult,
    FinishRequest,
    Message,
    OpenRequest,
    Overwrite,
    SegmentRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from tests.waiting import TIMEOUT, wait_until

M = TypeVar("M", bound=Message)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class VerbClient:
    """Sends requests of version 2, each with its answer.

    Args:
        dxl_client: A connected client.
        topic: Store topic of the service.
    """

    def __init__(self, dxl_client: DxlClient, topic: str) -> None:
        self._dxl_client = dxl_client
        self._topic = topic

    def send(self, verb: Verb, parcel: Parcel, *, service_id: str = "") -> Response:
        """Send anything at all and return what comes back."""
        request = Request(topic_of(verb, self._topic))
        request.other_fields = dict(parcel.fields)
        request.payload = parcel.payload  # type: ignore[assignment]
        request.service_id = service_id
        return self._dxl_client.sync_request(request, timeout=TIMEOUT)

    def ask(self, verb: Verb, message: Message, kind: type[M]) -> M:
        """Send a request and return its answer.

        Raises:
            RefusedError: The answer is an error.
        """
        response = self.send(verb, encode(message))
        if isinstance(response, ErrorResponse):
            raise refusal_in(response)
        return decode(kind, parcel_in(response))

    def refused(self, verb: Verb, message: Message) -> RefusedError:
        """Send a request that has to fail."""
        response = self.send(verb, encode(message))
        assert isinstance(response, ErrorResponse), parcel_in(response)
        return refusal_in(response)

    def open(self, file_id: str, name: str, size: int | None = None) -> TransferAnswer:
        """Begin a file."""
        request = OpenRequest(file_id=file_id, name=name, size=size)
        return self.ask(Verb.OPEN, request, TransferAnswer)

    def segment(self, file_id: str, offset: int, payload: bytes) -> TransferAnswer:
        """Send a part of a file."""
        request = SegmentRequest(file_id=file_id, offset=offset, payload=payload)
        return self.ask(Verb.SEGMENT, request, TransferAnswer)

    def finish(self, file_id: str, content: bytes) -> TransferAnswer:
        """Have a file checked, and wait until that is done."""
        request = FinishRequest(file_id=file_id, size=len(content), sha256=sha256(content))
        answers: list[TransferAnswer] = []

        def checked() -> bool:
            answers.append(self.ask(Verb.FINISH, request, TransferAnswer))
            return answers[-1].state != TransferState.VERIFYING

        wait_until(checked)
        return answers[-1]

    def put(self, name: str, content: bytes, overwrite: Overwrite = Overwrite.REPLACE) -> None:
        """Store a small file; it has to work."""
        entry = BatchEntry(name=name, payload=content, sha256=sha256(content), overwrite=overwrite)
        assert self.batch(entry)[0].state == TransferState.STORED

    def batch(self, *entries: BatchEntry) -> tuple[EntryResult, ...]:
        """Store a batch."""
        return self.ask(Verb.BATCH, BatchRequest(entries=entries), BatchAnswer).results


def parcel_in(response: Response) -> Parcel:
    """What a response carries."""
    assert isinstance(response.payload, bytes)
    return Parcel(response.other_fields, response.payload)


def refusal_in(response: ErrorResponse) -> RefusedError:
    """The error in an error response, which says the same in all its places."""
    if not response.other_fields.get("check"):
        return RefusedError(response.error_code, response.error_message)
    error = decode_refusal(parcel_in(response))
    assert (response.error_code, response.error_message) == (error.code, error.message)
    assert len(error.message) <= 300
    return error
