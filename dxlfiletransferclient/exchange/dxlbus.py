"""The bus of the engine over a DXL client."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self, cast

from dxlclient.callbacks import ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.exceptions import DxlException
from dxlclient.message import ErrorResponse, Request, Response

from dxlfabric import message as codec
from dxlfabric.client import FabricClient
from dxlfabric.lightmessages import payload_of
from dxlfiletransferclient.constants import MESSAGE_LIMIT
from dxlfiletransferclient.errors import (
    FileTransferError,
    InvalidRequestError,
    NotConnectedError,
)
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.protocol.coding import decode_refusal
from dxlfiletransferclient.protocol.parcels import CHECK, Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

LOOK_INTERVAL: Final = 0.25
"""Seconds between looks at the connection while replies are waited for: the official client tells
nobody that it was lost. A look costs microseconds."""

_ENVELOPE: Final = 512
"""Bytes of a request that are neither topic nor fields nor payload, on the safe side: identifiers,
the reply topic and the headers of all of them."""

_FIELD_OVERHEAD: Final = 6

_LONGEST_CHARACTER: Final = 4
"""Bytes of UTF-8 that a character has at most. Nearly all messages are so small that nothing has to
be encoded to know it."""

_NOT_CONNECTED: Final = "the DXL client is not connected to the fabric"
_UNSIGNED: Final = 0xFFFFFFFF


class WrongThreadError(FileTransferError, DxlException):
    """Files were to be transferred on a thread that handles the DXL client's incoming messages.

    The answers would wait for that very thread; use another one.
    """


class DxlBus(Bus):
    """The bus of the engine over a DXL client, which need not be one of this project.

    Several of them may use one client at the same time. While one is open, the client hands it
    every response that comes, of which it keeps those to its own requests.

    Args:
        dxl_client: The client; it must be connected before anything is asked.

    Example:
        >>> with DxlBus(dxl_client) as bus:  # doctest: +SKIP
        ...     token = bus.ask("/some/topic", Parcel({}))
        ...     replies = bus.wait(bus.now() + 5)
    """

    def __init__(self, dxl_client: DxlClient) -> None:
        self._dxl_client = dxl_client
        # Reentrant, because a signal handler may call wake() while this thread holds it.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sleeping = False
        self._tokens: dict[str, int] = {}
        self._message_ids: dict[int, str] = {}
        self._replies: deque[Reply] = deque()
        self._woken = False
        self._counter = itertools.count(1)
        self._own_thread: threading.Thread | None = None
        self._listener = _Listener(self._take)
        self._quick = dxl_client if isinstance(dxl_client, FabricClient) else None
        self._was_connected = self.connected
        if self._quick is not None:
            self._quick.add_response_listener(self._take)
        else:
            dxl_client.add_response_callback(None, self._listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything that was asked, and let go of the client, which stays connected."""
        if self._quick is not None:
            self._quick.remove_response_listener(self._take)
        else:
            self._dxl_client.remove_response_callback(None, self._listener)
        for token in list(self._message_ids):
            self.forget(token)

    now = staticmethod(time.monotonic)
    """Returns the time of the system's monotonic clock."""

    @property
    def connected(self) -> bool:
        """Whether the client is connected; not yet while it still subscribes to its topics."""
        if self._quick is not None:
            return self._quick.is_ready(LOOK_INTERVAL)
        # The client holds this lock for as long as its subscriptions take, minutes at worst.
        lock = getattr(self._dxl_client, "_connected_lock", None)
        if lock is None:
            return self._dxl_client.connected
        if not lock.acquire(timeout=LOOK_INTERVAL):
            return False
        try:
            return self._dxl_client.connected
        finally:
            lock.release()

    def ask(self, topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        """Send a request and return at once.

        Raises:
            NotConnectedError: There is no connection.
            InvalidRequestError: The message is larger than brokers take.
            WrongThreadError: The thread belongs to the DXL client.
        """
        self._check_thread()
        _check_size(topic, parcel)
        if not self.connected:
            raise NotConnectedError(_NOT_CONNECTED)
        if self._quick is None:
            request = _request(topic, parcel, service_id)
            message_id = request.message_id
        else:
            message_id = self._quick.new_message_id()
        token = next(self._counter)
        with self._lock:
            self._tokens[message_id] = token
            self._message_ids[token] = message_id
        try:
            if self._quick is None:
                self._dxl_client.async_request(request)
            else:
                self._quick.post_request(
                    topic,
                    message_id,
                    parcel.payload,
                    other_fields=parcel.fields,
                    service_id=service_id,
                )
        except BaseException as error:
            self.forget(token)
            if not self.connected:  # that says more than whatever the client stumbled over
                raise NotConnectedError(_NOT_CONNECTED) from error
            raise
        return token

    def wait(self, until: float) -> Sequence[Reply]:
        """Wait for replies; see :meth:`.bus.Bus.wait`.

        Raises:
            WrongThreadError: The thread belongs to the DXL client.
        """
        self._check_thread()
        changed = False
        while True:
            with self._lock:
                if self._replies or self._woken or changed or self.now() >= until:
                    self._woken = False
                    replies = tuple(self._replies)
                    self._replies.clear()
                    return replies
            connected = self.connected
            changed = connected != self._was_connected
            self._was_connected = connected
            if not changed:
                self._sleep(until)

    def _sleep(self, until: float) -> None:
        """Wait until something has come, it is time, or the connection is to be looked at."""
        with self._lock:
            rest = until - self.now()
            if not (self._replies or self._woken) and rest > 0:
                self._sleeping = True
                self._changed.wait(min(rest, LOOK_INTERVAL))
                self._sleeping = False

    def forget(self, token: int) -> None:
        """Drop the reply to a request, should it still come."""
        with self._lock:
            message_id = self._message_ids.pop(token, None)
            if message_id is None:  # its reply is here, or was collected
                self._replies = deque(each for each in self._replies if each.token != token)
                return
            del self._tokens[message_id]
        if self._quick is not None:
            return
        # The client remembers each request until it is answered, for ever if it is not. Releases
        # that work in another way are left alone.
        requests = getattr(self._dxl_client, "_request_manager", None)
        remove = getattr(requests, "remove_current_request", None)
        if remove is not None:
            remove(message_id)

    def wake(self) -> None:
        """End a :meth:`wait`, or the next one; from any thread or a signal handler."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def _take(self, response: codec.Response | Response) -> bool:
        """Take a response, on a thread of the DXL client; returns whether it was waited for."""
        with self._lock:
            # Each request is answered once: what comes a second time is dropped here.
            token = self._tokens.pop(response.request_message_id, None)
            if token is None:
                return False
            del self._message_ids[token]
            self._replies.append(_reply(token, response))
            if self._sleeping:
                self._changed.notify_all()
            return True

    def _check_thread(self) -> None:
        thread = threading.current_thread()
        if thread is self._own_thread:
            return
        prefix = getattr(self._dxl_client, "_message_pool_prefix", None)
        if prefix and thread.name.startswith(prefix):
            raise WrongThreadError(
                "files cannot be transferred on the thread that handles an incoming DXL message, "
                "because the answers need that thread: use another one"
            )
        self._own_thread = thread


class _Listener(ResponseCallback):
    """Hands over every response that comes."""

    def __init__(self, take: Callable[[Response], object]) -> None:
        super().__init__()
        self._take = take

    def on_response(self, response: Response) -> None:
        self._take(response)


def _request(topic: str, parcel: Parcel, service_id: str) -> Request:
    request = Request(topic)
    # Any buffer will do, as long as it does not change.
    request.payload = cast("bytes", parcel.payload)
    request.other_fields = dict(parcel.fields)
    request.service_id = service_id
    return request


def _reply(token: int, response: codec.Response | Response) -> Reply:
    payload: object
    error: codec.ErrorResponse | ErrorResponse | None
    if isinstance(response, codec.Response):
        payload = response.payload
        error = response if isinstance(response, codec.ErrorResponse) else None
    else:
        payload = payload_of(response)
        error = response if isinstance(response, ErrorResponse) else None
    content = payload if isinstance(payload, (bytes, memoryview)) else b""  # or damage
    parcel = Parcel(response.other_fields, content)
    if error is None:
        return Reply(token, parcel, None, response.service_id)
    if CHECK in parcel.fields:
        return Reply(token, Parcel({}), decode_refusal(parcel), response.service_id)
    return Reply(token, Parcel({}), _foreign_refusal(error))


def _foreign_refusal(response: codec.ErrorResponse | ErrorResponse) -> RefusedError:
    """Return the error of a broker, or of a service that does not speak version 2."""
    code: object = response.error_code
    text: object = response.error_message
    number = code & _UNSIGNED if isinstance(code, int) else ErrorCode.INTERNAL
    message = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return RefusedError(ErrorCode.of(number) or number, message)


def _check_size(topic: str, parcel: Parcel) -> None:
    texts = [topic, *parcel.fields, *parcel.fields.values()]
    overhead = len(parcel.payload) + _ENVELOPE + len(texts) * _FIELD_OVERHEAD
    if overhead + len("".join(texts)) * _LONGEST_CHARACTER <= MESSAGE_LIMIT:
        return
    size = overhead + sum(len(text.encode(errors="surrogatepass")) for text in texts)
    if size > MESSAGE_LIMIT:
        raise InvalidRequestError(
            f"a message of about {size} bytes to topic {topic} is over the limit of "
            f"{MESSAGE_LIMIT}, at which brokers end the connection: send smaller segments"
        )
