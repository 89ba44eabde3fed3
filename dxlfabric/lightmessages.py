"""The official client's messages, made without what their constructors cost.

Those draw an identifier from the system for each message, also for one that was received with its
own, and keep the payload as ``bytes``, which means a copy of what lies in the receiving buffer.
"""

from typing import TypeVar

import dxlclient.message as official

from dxlfabric import message as codec
from dxlfabric.message import Body

M = TypeVar("M", bound=official.Message)


def payload_of(message: official.Message) -> Body | str:
    """Return a message's payload without copying it; a view where our client has received it.

    Args:
        message: Any message. Its payload may be something else than bytes if somebody has set it
            to that, or has sent it so.
    """
    view: Body | None = getattr(message, "payload_view", None)
    return message.payload if view is None else view


def new_request(topic: str, message_id: str) -> official.Request:
    """Return a request with an identifier of its own."""
    request = _bare(official.Request, message_id)
    _set(request, destination_topic=topic, reply_to_topic=None, service_id="")
    return request


def new_response(request: official.Request, message_id: str) -> official.Response:
    """Return the response to a request, with an identifier of its own."""
    response = _bare(official.Response, message_id)
    _set(
        response,
        destination_topic=request.reply_to_topic,
        request=request,
        request_message_id=request.message_id,
        service_id=request.service_id,
    )
    if request.source_client_id:
        response.client_ids = [request.source_client_id]
    if request.source_broker_id:
        response.broker_ids = [request.source_broker_id]
    return response


def received(found: codec.Message) -> official.Message:
    """Return a message that was received as the official client has it."""
    message = _of_its_type(found)
    _set(
        message,
        version=found.version,
        source_client_id=found.source_client_id,
        source_broker_id=found.source_broker_id,
        broker_ids=list(found.broker_ids),
        client_ids=list(found.client_ids),
        other_fields=found.other_fields,
        source_tenant_guid=found.source_tenant_id,
        destination_tenant_guids=list(found.destination_tenant_ids),
        payload=None,
    )
    message.payload_view = found.payload
    return message


class _Viewed:
    """A message whose payload is a view until somebody wants it as bytes."""

    payload_view: Body | None
    _payload: object

    @property
    def payload(self) -> object:
        """The bytes of the payload, or whatever it was set to."""
        if self._payload is None and self.payload_view is not None:
            self._payload = bytes(self.payload_view)
        return self._payload

    @payload.setter
    def payload(self, payload: object) -> None:
        self._payload = payload
        self.payload_view = None


class _Event(_Viewed, official.Event):  # type: ignore[misc]
    pass


class _Request(_Viewed, official.Request):  # type: ignore[misc]
    pass


class _Response(_Viewed, official.Response):  # type: ignore[misc]
    pass


class _ErrorResponse(_Viewed, official.ErrorResponse):  # type: ignore[misc]
    pass


_Received = _Event | _Request | _Response | _ErrorResponse


def _of_its_type(found: codec.Message) -> _Received:
    if isinstance(found, codec.Request):
        request = _bare(_Request, found.message_id)
        _set(request, reply_to_topic=found.reply_to_topic, service_id=found.service_id)
        return request
    if not isinstance(found, codec.Response):
        return _bare(_Event, found.message_id)
    answers = {
        "request": None,
        "request_message_id": found.request_message_id,
        "service_id": found.service_id,
    }
    if isinstance(found, codec.ErrorResponse):
        error = _bare(_ErrorResponse, found.message_id)
        _set(error, **answers, error_code=found.error_code, error_message=found.error_message)
        return error
    response = _bare(_Response, found.message_id)
    _set(response, **answers)
    return response


def _bare(kind: type[M], message_id: str) -> M:
    """Return a message with what all of them have."""
    message = kind.__new__(kind)
    super(official.Message, message).__init__()  # counts objects, where somebody wants that
    _set(
        message,
        version=official.Message.MESSAGE_VERSION,
        message_id=message_id,
        source_client_id="",
        source_broker_id="",
        destination_topic="",
        payload=b"",
        broker_ids=[],
        client_ids=[],
        other_fields={},
        source_tenant_guid="",
        destination_tenant_guids=[],
    )
    return message


def _set(message: official.Message, **values: object) -> None:
    """Set what the official classes let only themselves set."""
    message.__dict__.update({f"_{name}": value for name, value in values.items()})
