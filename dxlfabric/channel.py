"""One client's connection to the broker: bytes in, bytes out, and the brakes.

A client that takes its messages slowly holds up those who send to it, and nobody else: as long as
too many bytes wait for it, whoever adds to them is no longer read from. So what waits in the broker
is bounded whatever its clients do. Bytes wait as they came in, shared by all who are to get them,
and are encrypted only when the network takes them.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from dxlfabric.buffers import Buffers
from dxlfabric.errors import CertificateError, MalformedPacketError
from dxlfabric.message import Body
from dxlfabric.packets import OversizedPacketError, PacketReader
from dxlfabric.pieces import next_piece
from dxlfabric.registry import ClientIdentity
from dxlfabric.routing import Delivery, Router
from dxlfabric.session import Session
from dxlfabric.tls import SecureStream

logger = logging.getLogger(__name__)

RECEIVE_SIZE = 256 * 1024
"""Bytes taken from a connection at a time, into a buffer that all connections share.

One connection's turn is as long as this; a smaller one costs more turns per message.
"""

SEND_SIZE = 256 * 1024
"""Bytes encrypted and handed to the system at a time; what it does not take waits in its transport.

A smaller one costs more system calls, a larger one more copying while a client is slow.
"""

_QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """Bounds on what clients may cost the broker.

    Attributes:
        message: Largest remaining length of an MQTT packet, in bytes: topic, envelope and payload.
            The default is the OpenDXL broker's. A client that sends more is disconnected.
        connections: Clients at once. Each costs about 50 KiB while idle, most of it TLS state.
        subscriptions: Topic filters of one client.
        waiting: Bytes that may wait for one client before those who send to it are held up. Four
            largest messages keep a fast client busy; more only adds memory per slow client.
        drained: Bytes below which those held up go on. A quarter leaves room for a burst.
        handshake_seconds: Time for the TLS handshake and the CONNECT packet together.
        stall_seconds: Time after which a client that takes none of the bytes waiting for it is
            disconnected, so that a hung client cannot hold up the others for ever.
    """

    message: int = 1_048_576
    connections: int = 2_000
    subscriptions: int = 10_000
    waiting: int = 4 * 1_048_576
    drained: int = 1_048_576
    handshake_seconds: float = 10.0
    stall_seconds: float = 30.0


class Hub(Protocol):
    """What a channel needs of the broker around it."""

    router: Router
    limits: BrokerLimits
    receive_buffer: memoryview
    buffers: Buffers

    def opened(self, channel: "Channel") -> bool:
        """Take note of a new connection; return whether there is room for it."""

    def identify(self, certificate: bytes) -> ClientIdentity:
        """Return who a certificate in DER form belongs to, as a new instance."""

    def joined(self, channel: "Channel") -> None:
        """Take note that a channel's client is known now."""

    def left(self, channel: "Channel") -> None:
        """Take note that a channel is gone."""

    def deliver(self, deliveries: Iterable[Delivery], cause: "Channel | None") -> None:
        """Send packets to their recipients on behalf of the channel that caused them, if any."""

    def drained(self, channel: "Channel") -> None:
        """Take note that a slow client has caught up."""


class Channel(asyncio.BufferedProtocol):
    """A connection, from its first byte on.

    Args:
        hub: The broker.
        context: For the TLS of its connections.

    Attributes:
        congested: Whether more bytes wait for the client than the limit allows.
        peer: The client's address, for people.
        identity: Who the client is, once it has proved it.
        closed: Done once the connection is gone.
    """

    def __init__(self, hub: Hub, context: ssl.SSLContext) -> None:
        self._hub = hub
        self._stream = SecureStream(context)
        self._reader = PacketReader(limit=hub.limits.message, buffers=hub.buffers)
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._session: Session | None = None
        self._waiting: deque[Body] = deque()
        self._waiting_bytes = 0
        self._network_full = False
        self._held = False
        self._closing = False
        self._received_at = self._progress_at = self._opened_at = time.monotonic()
        self._encrypted_bytes = 0
        self._delivered_bytes = 0
        self.congested = False
        self.peer = "?"
        self.identity: ClientIdentity | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation."""
        # Those of TCP always are, though other event loops' do not inherit from asyncio's.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        address = transport.get_extra_info("peername")
        self.peer = f"{address[0]} port {address[1]}" if address else "a lost peer"
        if self._socket is not None:
            # asyncio leaves it out for sockets that a listener without a protocol number accepts,
            # and then every second small packet to a client waits 40 ms for its acknowledgement.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(0)
        if not self._hub.opened(self):
            self.close(flush=False)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - a hint
        """Lend memory for what arrives next."""
        return self._hub.receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what has arrived."""
        self._received_at = time.monotonic()
        if nbytes < RECEIVE_SIZE:
            self._acknowledge_at_once()
        self._stream.feed(self._hub.receive_buffer[:nbytes])
        self._take_in()
        self._send_encrypted()

    def eof_received(self) -> bool:
        """Close our side too once the client has closed its own."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the client out and let go of those it held up."""
        self._closing = True
        self._drop_waiting()
        logger.debug("%s: connection ended: %s", self._name(), exc or "closed")
        self._hub.left(self)
        if self._session is not None:
            self._hub.deliver(self._session.end(), None)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """Take note that the network takes no more for now."""
        self._network_full = True

    def resume_writing(self) -> None:
        """Send on."""
        self._network_full = False
        self._send_waiting()

    def send(self, pieces: Iterable[Body]) -> None:
        """Send a packet, given in pieces; they must not change afterwards."""
        if self._closing:
            return
        for piece in pieces:
            size = len(piece)
            if size:
                self._waiting.append(piece)
                self._waiting_bytes += size
        self._send_waiting()

    def pause(self) -> None:
        """Stop reading what the client sends."""
        self._held = True
        if self._transport is not None and not self._closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on, beginning with what had already arrived."""
        self._held = False
        self._received_at = time.monotonic()
        if self._transport is not None and not self._closing:
            self._transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._take_in)

    def close(self, *, flush: bool = True) -> None:
        """End the connection, with or without sending what still waits in the network's buffer.

        What was not yet encrypted is dropped, so nobody is held up any more while the client takes
        the rest, or does not.
        """
        self._closing = True
        self._drop_waiting()
        if self._transport is None:
            return
        if flush:
            with contextlib.suppress(ssl.SSLError):
                self._stream.say_goodbye()
            self._send_encrypted()
            self._transport.close()
        else:
            self._transport.abort()

    def check(self, now: float) -> None:
        """End a connection that has gone silent or takes nothing; ``now`` is monotonic time."""
        limits = self._hub.limits
        if self._closing:
            self._check_progress(now)
            return
        if self._session is None or not self._session.connected:
            if now - self._opened_at > limits.handshake_seconds:
                self._end(f"no CONNECT within {limits.handshake_seconds:g} seconds")
            return
        self._check_progress(now)
        allowed = self._session.silence_allowed
        if allowed is not None and not self._held and now - self._received_at > allowed:
            self._end(f"nothing was heard of it for {allowed:g} seconds")

    def _check_progress(self, now: float) -> None:
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        backlog = self._waiting_bytes + unsent
        delivered = self._encrypted_bytes - unsent
        if not backlog or delivered > self._delivered_bytes:
            self._progress_at = now
            self._delivered_bytes = delivered
        elif now - self._progress_at > self._hub.limits.stall_seconds:
            seconds = self._hub.limits.stall_seconds
            self._warn(f"it has taken none of {backlog} waiting bytes for {seconds:g} seconds")
            self.close(flush=False)

    def _take_in(self) -> None:
        """Decrypt and handle what has arrived, unless somebody holds this channel up."""
        try:
            if self.identity is None and not self._shake_hands():
                return
            while not (self._held or self._closing):
                count = self._stream.read_into(self._reader.buffer())
                if count is None:
                    return
                if count == 0:
                    self._end("")
                    return
                drained = self._stream.drained
                self._handle(count)
                if drained:
                    return
        except OversizedPacketError as error:
            self._end(
                f"a message of {error.length} bytes; the limit is {error.limit} "
                "(topic and envelope included)"
            )
        except MalformedPacketError as error:
            self._end(f"it does not speak MQTT: {error}")
        except ssl.SSLError as error:
            self._end(f"broken TLS: {error.reason or error}")

    def _shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done."""
        if self._closing:
            return False
        try:
            certificate = self._stream.handshake()
            if certificate is not None:
                self._welcome(certificate)
            return certificate is not None
        except (ssl.SSLError, CertificateError) as error:
            reason = (isinstance(error, ssl.SSLError) and error.reason) or error
            logger.warning("refused: %s: %s", self.peer, reason)
            # The alert that tells the client why is still to be sent.
            self.close()
            return False

    def _welcome(self, certificate: bytes) -> None:
        self.identity = self._hub.identify(certificate)
        self._session = Session(
            self._hub.router, self.identity, subscription_limit=self._hub.limits.subscriptions
        )
        self._hub.joined(self)

    def _handle(self, count: int) -> None:
        """Handle all packets that ``count`` more bytes complete.

        They were decrypted together, so they are handled together even if somebody holds this
        channel up on the way; beside one large packet's end, that is one small buffer.
        """
        for packet in self._reader.wrote(count):
            if self._closing or self._session is None:
                return
            reaction = self._session.receive(packet, time.time())
            if reaction.reply and self.identity is not None:
                own = Delivery(self.identity.instance, (reaction.reply,))
                self._hub.deliver((own,), self)
            self._hub.deliver(reaction.deliveries, self)
            if reaction.close is not None:
                self._end(reaction.close, flush=bool(reaction.reply))

    def _send_waiting(self) -> None:
        """Encrypt and send as much as the network takes."""
        if self._closing:
            return
        while self._waiting and not self._network_full:
            self._encrypt_some()
            self._send_encrypted()
        self._keep_books()

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        self._keep_books()

    def _keep_books(self) -> None:
        """Tell the hub when a client that was too slow has caught up."""
        if self._waiting_bytes > self._hub.limits.waiting:
            self.congested = True
        elif self.congested and self._waiting_bytes <= self._hub.limits.drained:
            self.congested = False
            self._hub.drained(self)

    def _encrypt_some(self) -> None:
        """Encrypt what waits, up to about as much as is sent at a time."""
        room = SEND_SIZE
        while self._waiting and room > 0:
            piece = next_piece(self._waiting, room)
            size = len(piece)
            room -= size
            self._waiting_bytes -= size
            self._stream.write(piece)

    def _send_encrypted(self) -> None:
        if self._transport is not None and self._stream.pending:
            data = self._stream.take()
            self._encrypted_bytes += len(data)
            self._transport.write(data)

    def _end(self, reason: str, *, flush: bool = False) -> None:
        if self._closing:
            return
        if reason:
            self._warn(reason)
        self.close(flush=flush or not reason)

    def _warn(self, reason: str) -> None:
        logger.warning("disconnected: %s: %s", self._name(), reason)

    def _name(self) -> str:
        return self.peer if self.identity is None else f"client {self.identity.instance}"

    def _acknowledge_at_once(self) -> None:
        """Ask the system not to delay the TCP acknowledgement of the end of what has come.

        Clients that leave Nagle's algorithm on, as the official one does, wait for it with the end
        of every message; delayed, it would cost each of their requests 40 ms.
        """
        if _QUICK_ACKNOWLEDGEMENT is not None and self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)
