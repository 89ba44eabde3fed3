"""A fabric in memory: what a DXL client sends is answered by a store in the same process."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psutil
from dxlclient.callbacks import ResponseCallback
from dxlclient.message import ErrorResponse, Message, Request, Response

from dxlfiletransferclient import FileStoreManager, FileTransferClient
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.protocol.coding import encode_refusal
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.storage.working import LOCK_NAME

if TYPE_CHECKING:
    from dxlclient.client import DxlClient

SERVICE_ID = "{5f0c1f0a-2f9e-4d3f-8a44-0b1c7a0e8a11}"

Answer = Callable[[Request], Response]


NOBODY = -2147483647
"""What a broker answers, as the DXL client shows it, if nobody serves a topic."""


class FakeDxlClient:
    """Takes requests as a DXL client does, packed and unpacked once, and keeps them.

    Requests that are waited for are those of version 1; the others are those of version 2, which
    come back with an error if nobody on this fabric speaks it.

    Attributes:
        answer: Answers version 1.
        desk: Answers version 2, if anybody does.
        requests: What was asked by version 1.
        timeouts: How long that was to be waited for.
        asked: Topics of what was asked by version 2.
    """

    def __init__(self, answer: Answer, desk: Desk | None = None) -> None:
        self.connected = True
        self.desk = desk
        self.asked: list[str] = []
        self._listeners: list[ResponseCallback] = []
        self.requests: list[Request] = []
        self.timeouts: list[float] = []
        self.answer = answer

    def sync_request(self, request: Request, timeout: float = 3600) -> Response:
        arrived = Message._from_bytes(request._to_bytes())
        assert isinstance(arrived, Request)
        arrived.destination_topic = request.destination_topic
        self.requests.append(arrived)
        self.timeouts.append(timeout)
        return self.answer(arrived)

    def add_response_callback(self, _topic: str | None, callback: ResponseCallback) -> None:
        self._listeners.append(callback)

    def remove_response_callback(self, _topic: str | None, callback: ResponseCallback) -> None:
        self._listeners.remove(callback)

    def async_request(self, request: Request) -> None:
        self.asked.append(request.destination_topic)
        response = self._answer_of_desk(request)
        for listener in list(self._listeners):
            listener.on_response(response)

    def _answer_of_desk(self, request: Request) -> Response:
        _, _, ending = request.destination_topic.rpartition("/v2/")
        if self.desk is None or ending not in set(Verb):
            return ErrorResponse(request, NOBODY, "unable to locate service")
        arrived = Message._from_bytes(request._to_bytes())
        assert isinstance(arrived, Request)
        arrived.service_id = SERVICE_ID
        parcel = Parcel(arrived.other_fields, cast("bytes", arrived.payload))
        response = Response(arrived)
        try:
            answer = self.desk.answer(Verb(ending), parcel)
        except RefusedError as error:
            response = ErrorResponse(arrived, error.code, error.message)
            answer = encode_refusal(error)
        response.payload = bytes(answer.payload)
        response.other_fields = dict(answer.fields)
        return response

    @property
    def fields(self) -> list[dict[str, str]]:
        return [request.other_fields for request in self.requests]

    @property
    def payloads(self) -> list[bytes]:
        return [cast("bytes", request.payload) for request in self.requests]


def response_to(request: Request, content: object, service_id: str = SERVICE_ID) -> Response:
    """Return a response as the fabric delivers it: with the id of the instance it came from."""
    routed = Request(request.destination_topic)
    routed.service_id = service_id
    response = Response(routed)
    response.payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return response


def stored_by(store: FileStoreManager, service_id: str = SERVICE_ID) -> Answer:
    """Answer requests as a service with this store does."""

    def answer(request: Request) -> Response:
        try:
            result = store.store_segment(request)
        except (ValueError, OSError) as error:
            return ErrorResponse(request, error_code=0, error_message=str(error))
        return response_to(request, result.to_dict(), service_id)

    return answer


def client_of(dxl_client: FakeDxlClient, topic: str = DEFAULT_STORE_TOPIC) -> FileTransferClient:
    return FileTransferClient(cast("DxlClient", dxl_client), topic)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def request_of(payload: object = b"", **fields: object) -> Request:
    """Return a store request, made by hand; fields that are ``None`` are left out."""
    request = Request(DEFAULT_STORE_TOPIC)
    request.payload = cast("bytes", payload)
    present = {name: value for name, value in fields.items() if value is not None}
    request.other_fields = cast("dict[str, str]", present)
    return request


def last_request(
    name: str, content: bytes, payload: bytes = b"", number: int = 1, file_id: str | None = None
) -> Request:
    """Return the request that ends a file of ``content`` and carries ``payload`` itself."""
    return request_of(
        payload,
        segment_number=str(number),
        file_id=file_id,
        result="store",
        name=name,
        size=str(len(content)),
        hash_sha256=sha256(content),
    )


def left_in(working_dir: Path) -> set[str]:
    """Return what a working directory holds besides the lock file that belongs to it."""
    return {path.name for path in working_dir.iterdir()} - {LOCK_NAME}


def open_descriptors() -> int:
    """Return how many file descriptors this process has open."""
    return psutil.Process().num_fds()
