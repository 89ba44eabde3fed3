"""Cuts a byte stream into MQTT packets, whatever the chunks it arrives in.

The reader lends its memory to whoever reads the connection: a large packet is received straight
into the buffer that its payload is later sent from, so its bytes are never copied here.
"""

from collections.abc import Iterable, Iterator

from dxlfabric import mqtt
from dxlfabric.buffers import Buffers
from dxlfabric.errors import MalformedPacketError
from dxlfabric.message import Body

SCRATCH_SIZE = 16 * 1024
"""Bytes of the buffer for packet beginnings and small packets: what one TLS record holds.

A connection keeps one of these for its whole life. A larger one would copy more of each large
packet's beginning; a smaller one would take more rounds for a row of small packets.
"""

_LENGTH_BYTES = 4


class OversizedPacketError(MalformedPacketError):
    """A packet longer than the reader takes; nothing of it was stored.

    Attributes:
        length: The packet's remaining length in bytes.
        limit: The largest remaining length that is taken.
    """

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a packet of {length} bytes is over the limit of {limit} bytes")
        self.length = length
        self.limit = limit


class PacketReader:
    r"""Turns received bytes into packets.

    Either call :meth:`feed` with chunks, or let the connection write into what :meth:`buffer`
    returns and tell :meth:`wrote` how many bytes arrived. After an error the reader is of no more
    use: the stream has lost its frame.

    Args:
        limit: Largest remaining length of a packet, in bytes. A packet that announces more is
            refused before a byte of it is stored.
        buffers: Memory for large packets, which readers in one thread may share.

    Example:
        >>> reader = PacketReader()
        >>> list(reader.feed(b"\xc0"))
        []
        >>> list(reader.feed(b"\x00"))
        [Signal(packet_type=<PacketType.PINGREQ: 12>)]
    """

    __slots__ = (
        "_body",
        "_buffers",
        "_filled",
        "_first_byte",
        "_length",
        "_limit",
        "_scratch",
        "_shift",
    )

    def __init__(
        self, *, limit: int = mqtt.LARGEST_REMAINING_LENGTH, buffers: Buffers | None = None
    ) -> None:
        self._limit = limit
        self._buffers = buffers or Buffers()
        self._scratch = memoryview(bytearray(SCRATCH_SIZE))
        self._first_byte = -1
        self._length = 0
        self._shift = 0
        self._body: memoryview | None = None
        self._filled = 0

    def buffer(self) -> memoryview:
        """Return the memory to receive into; valid until the next call of :meth:`wrote`."""
        if self._body is None:
            return self._scratch
        return self._body[self._filled :]

    def wrote(self, count: int) -> Iterable[mqtt.Packet]:
        """Take note of ``count`` bytes written to :meth:`buffer` and give complete packets.

        They must be used up before the next call of :meth:`buffer`. An error that comes after
        complete packets is raised when those are used up.

        Raises:
            MalformedPacketError: The stream holds something that is no packet.
            OversizedPacketError: A packet is over the limit.
        """
        body = self._body
        if body is None:
            return self._scan(self._scratch[:count])
        self._filled += count
        return () if self._filled < len(body) else (self._complete(body),)

    def feed(self, data: Body) -> Iterator[mqtt.Packet]:
        """Copy ``data`` in and yield complete packets; raise as :meth:`wrote` does."""
        view = memoryview(data)
        while view:
            target = self.buffer()
            count = min(len(target), len(view))
            target[:count] = view[:count]
            view = view[count:]
            yield from self.wrote(count)

    def _scan(self, data: memoryview) -> Iterator[mqtt.Packet]:
        position = 0
        end = len(data)
        while position < end:
            position = self._scan_header(data, position)
            body = self._body
            if body is None:
                return
            begun = data[position : position + self._length]
            count = len(begun)
            body[:count] = begun
            position += count
            if count == self._length:
                yield self._complete(body)
            else:
                self._filled = count

    def _scan_header(self, data: memoryview, position: int) -> int:
        """Read on in the fixed header; make the packet's body once the header is whole."""
        if self._first_byte < 0:
            self._first_byte = data[position]
            position += 1
        while position < len(data):
            digit = data[position]
            position += 1
            self._length |= (digit & 0x7F) << self._shift
            self._shift += 7
            if digit < 0x80:
                if self._length > self._limit:
                    raise OversizedPacketError(self._length, self._limit)
                self._body = self._buffers.take(self._length)
                break
            if self._shift == 7 * _LENGTH_BYTES:
                raise MalformedPacketError("a packet's length has more than four bytes")
        return position

    def _complete(self, body: memoryview) -> mqtt.Packet:
        first_byte = self._first_byte
        self._first_byte = -1
        self._length = 0
        self._shift = 0
        self._body = None
        self._filled = 0
        return mqtt.decode(first_byte, body)
