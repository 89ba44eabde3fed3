"""The conversation with a service about one file: requests in order, on one service instance."""

import logging
from typing import Final

from dxlclient.client import DxlClient
from dxlclient.exceptions import WaitTimeoutException
from dxlclient.message import ErrorResponse, Request, Response

from dxlfiletransferclient import wire
from dxlfiletransferclient.constants import FileStoreResultProp
from dxlfiletransferclient.errors import (
    MalformedAnswerError,
    NoAnswerError,
    NotConnectedError,
    ServiceError,
    brief,
)
from dxlfiletransferclient.segments import Segment

logger = logging.getLogger(__name__)

CANCEL_TIMEOUT: Final = 5.0
"""Seconds that a cancel request may take.

It runs when something has gone wrong already, so the caller waits for it in vain as a rule; what it
does not clear away, the service removes by itself after a while.
"""

_SERVICE_NOT_FOUND: Final = 0x80000001
"""Code (unsigned) with which a broker says that nobody serves a topic or a service id."""

_UNSIGNED: Final = 0xFFFFFFFF
"""Mask to compare codes by, which Python's DXL client shows as signed 32-bit numbers."""


class StoreTransfer:
    """Sends the segments of one file and holds what the answers say about it.

    The instance of the service that answers first is asked for everything that follows, because
    the others do not know the file.

    Args:
        dxl_client: Client to send with; it must be connected.
        topic: Topic of the store requests.
        name: Name of the file on the server.
        timeout: Seconds to wait for each answer.
    """

    def __init__(self, dxl_client: DxlClient, topic: str, name: str, timeout: float) -> None:
        self._dxl_client = dxl_client
        self._topic = topic
        self._name = name
        self._timeout = timeout
        self._service_id = ""
        self._stored = False
        self.file_id: str | None = None

    def send(self, segment: Segment) -> wire.SegmentAnswer:
        """Send a segment and wait until the service has it.

        Raises:
            NotConnectedError: If the client has no connection to the fabric.
            NoAnswerError: If no answer comes in time.
            ServiceError: If the answer is an error.
            MalformedAnswerError: If the answer makes no sense.
        """
        self._check_connected(f"segment {segment.number} of {brief(self._name)} was not sent")
        request = self._request(
            segment.payload, wire.segment_fields(segment, self.file_id, self._name)
        )
        try:
            response = self._ask(request, self._timeout)
        except WaitTimeoutException as error:
            msg = (
                f"no answer to segment {segment.number} of {brief(self._name)} on topic "
                f"{self._topic} within {self._timeout:g} seconds: is the service running, and does "
                "the broker take messages of this size?"
            )
            raise NoAnswerError(msg) from error
        answer = wire.parse_answer(response.payload)
        self._note(answer, response)
        self._check_result(answer, segment)
        return answer

    def cancel(self) -> None:
        """Ask the service to drop the file, unless it has none of it or has stored it.

        It is tried once and shortly. A failure is logged and goes no further: the error that led
        here is what the caller has to hear of.
        """
        if self.file_id is None or self._stored:
            return
        try:
            self._check_connected("it stays with the service until it expires there")
            self._ask(self._request(b"", wire.cancel_fields(self.file_id)), CANCEL_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - nothing may hide the error that led here
            logger.warning("Could not cancel file %r (%r): %s", self._name, self.file_id, error)

    def _check_connected(self, consequence: str) -> None:
        if not self._dxl_client.connected:
            msg = f"the DXL client lost its connection to the fabric: {consequence}"
            raise NotConnectedError(msg)

    def _request(self, payload: bytes, fields: dict[str, str]) -> Request:
        request = Request(self._topic)
        request.payload = payload
        request.other_fields = fields
        if self._service_id:
            request.service_id = self._service_id
        return request

    def _ask(self, request: Request, timeout: float) -> Response:
        response = self._dxl_client.sync_request(request, timeout=timeout)
        if isinstance(response, ErrorResponse):
            raise self._service_error(response)
        return response

    def _note(self, answer: wire.SegmentAnswer, response: Response) -> None:
        if self.file_id is None:
            self.file_id = answer.file_id
            self._service_id = response.service_id
        elif answer.file_id != self.file_id:
            msg = (
                f"the service answered for file {brief(answer.file_id)} to a segment of "
                f"{brief(self.file_id)}"
            )
            raise MalformedAnswerError(msg)

    def _check_result(self, answer: wire.SegmentAnswer, segment: Segment) -> None:
        expected = FileStoreResultProp.STORE if segment.last else FileStoreResultProp.NONE
        if answer.result != expected:
            msg = (
                f"the service answered with result {answer.result!r} to segment {segment.number} "
                f"of {brief(self._name)}, where {expected!r} was due"
            )
            raise MalformedAnswerError(msg)
        self._stored = segment.last

    def _service_error(self, response: ErrorResponse) -> ServiceError:
        text: object = response.error_message
        message = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        hint = ""
        if response.error_code & _UNSIGNED == _SERVICE_NOT_FOUND:
            hint = (
                "the service that has the first segments is gone; send the file again"
                if self.file_id
                else f"no service takes files on topic {self._topic}; is it running and connected?"
            )
        return ServiceError(message, response.error_code, hint)
