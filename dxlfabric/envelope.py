"""What a broker reads of a message that it passes on, and how it writes what it puts there itself.

A broker needs to know whom a message is for and says who sent it; everything else goes out as it
came in. So most of a message is only looked over here, where :mod:`dxlfabric.message` would make
objects of it and bytes of those. What is sent is the same, byte for byte.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from dxlfabric.message import (
    VERSION_OF_BROKERS,
    VERSION_OF_CLIENTS,
    Body,
    Encoded,
    Message,
    decode,
    pack_particulars,
)
from dxlfabric.packing import (
    array_header,
    pack_text,
    pack_texts,
    raw_header,
    take_array,
    take_raw_header,
    take_raws,
)
from dxlfabric.registry import ClientIdentity

CERTIFICATES_FIELD: Final = "dxl.certs"
"""Other field in which a broker names the sender's certificates, root first."""

LONGEST_BEGINNING: Final = 512
"""Bytes in which what comes before a payload has to end for a message to be looked over: twice what
identifiers of the usual length take. They are copied, a little of the payload among them."""

_OWN_TEXTS: Final = (2, 2, 0)
"""Texts that only requests, responses and events have, in the order of their types' numbers.

Errors have more than texts, and are few.
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a broker puts on every message of one client, packed.

    Attributes:
        origin: Identifiers of the client and the broker.
        certificates: Name and value of :data:`CERTIFICATES_FIELD`.
        instance: The client's connection.
    """

    origin: bytes
    certificates: bytes
    instance: bytes

    @classmethod
    def of(cls, sender: ClientIdentity, broker_id: str) -> "Stamp":
        """Return what a broker puts on what ``sender`` sends."""
        return cls(
            origin=pack_text(sender.client_id) + pack_text(broker_id),
            certificates=pack_text(CERTIFICATES_FIELD) + pack_text(";".join(sender.certificates)),
            instance=pack_text(sender.instance),
        )


class Envelope(NamedTuple):
    """A message that a broker passes on. What is packed is so as :mod:`dxlfabric.message` does it.

    Attributes:
        message_type: What kind of message it is.
        broker_ids: Brokers to deliver to; empty for all.
        client_ids: Clients to deliver to; empty for all that subscribe to the topic.
        service_id: Instance that is asked or answers; empty if there is none.
        payload: The content, a view of the input.
        message_id: Its identifier, packed.
        addresses: ``broker_ids`` and ``client_ids``, packed.
        particulars: What only this type of message has, packed; a request's ends with its
            ``service_id``.
        field_count: How many other fields there are, without :data:`CERTIFICATES_FIELD`.
        rest: Those fields and the tenants, packed.
    """

    message_type: int
    broker_ids: tuple[str, ...]
    client_ids: tuple[str, ...]
    service_id: str
    payload: Body
    message_id: bytes
    addresses: bytes
    particulars: bytes
    field_count: int
    rest: bytes

    def stamped(self, stamp: Stamp) -> Encoded:
        """Return what is sent: the message in a broker's version, with the sender's stamp."""
        return self._written(stamp, self.addresses, self.particulars)

    def assigned(self, stamp: Stamp, addresses: bytes, service_id: str) -> Encoded:
        """Return what is sent of a request: stamped, to the instance that a broker has chosen.

        Args:
            stamp: The sender's.
            addresses: Brokers and clients to deliver to, packed.
            service_id: The chosen instance; the one that the request names, if it names one.
        """
        particulars = self.particulars
        if not self.service_id:
            # An empty text is packed as one byte.
            particulars = particulars[:-1] + pack_text(service_id)
        return self._written(stamp, addresses, particulars)

    def _written(self, stamp: Stamp, addresses: bytes, particulars: bytes) -> Encoded:
        beginning = bytes((VERSION_OF_BROKERS, self.message_type))
        length = raw_header(len(self.payload))
        fields = array_header(2 * self.field_count + 2)
        return Encoded(
            b"".join((beginning, self.message_id, stamp.origin, addresses, length)),
            self.payload,
            b"".join((particulars, fields, stamp.certificates, self.rest, stamp.instance)),
        )


def read(data: Body) -> Envelope:
    """Read one message; see :func:`dxlfabric.message.decode`, whose messages are the ones read.

    Raises:
        MalformedMessageError: The data is no DXL message of version 0 to 3.
    """
    view = memoryview(data)
    try:
        return _looked_over(view)
    except (IndexError, ValueError):
        # It may be malformed, or well-formed in a way that is not worth a loop of its own.
        return _repacked(decode(view))


def _repacked(message: Message) -> Envelope:
    """Return the envelope of any message there may be."""
    fields = [
        text
        for name, value in message.other_fields.items()
        if name != CERTIFICATES_FIELD
        for text in (name, value)
    ]
    return Envelope(
        message.message_type,
        message.broker_ids,
        message.client_ids,
        getattr(message, "service_id", ""),
        message.payload,
        pack_text(message.message_id),
        pack_texts(message.broker_ids) + pack_texts(message.client_ids),
        b"".join(pack_particulars(message)),
        len(fields) // 2,
        b"".join(map(pack_text, fields))
        + pack_text(message.source_tenant_id)
        + pack_texts(message.destination_tenant_ids),
    )


def _looked_over(view: memoryview) -> Envelope:
    """Return the envelope of a message as clients write it.

    Raises:
        IndexError: It is another one: it ends too early.
        ValueError: It is another one for any other reason, such as a text that is no UTF-8.
    """
    head = bytes(view[:LONGEST_BEGINNING])
    version, message_type = head[0], head[1]
    if not VERSION_OF_CLIENTS <= version <= VERSION_OF_BROKERS:
        raise ValueError("a version without tenants")
    own_texts = _OWN_TEXTS[message_type]
    packed: list[bytes] = []
    id_end = take_raws(head, 2, 1, packed)
    addresses_at = take_raws(head, id_end, 2, packed)
    brokers, at = take_array(head, addresses_at)
    clients, at = take_array(head, take_raws(head, at, brokers, packed))
    addresses_end = take_raws(head, at, clients, packed)
    length, payload_at = take_raw_header(head, addresses_end)

    tail = bytes(view[payload_at + length :])
    own_end = take_raws(tail, 0, own_texts, packed)
    count, rest_at = take_array(tail, own_end)
    tenants, at = take_array(tail, take_raws(tail, rest_at, count + 1, packed))
    rest_end = take_raws(tail, at, tenants, packed)
    if take_raws(tail, rest_end, version - VERSION_OF_CLIENTS, packed) > len(tail):
        raise IndexError("the last text is cut short")

    texts = _texts(packed)
    clients_at = 3 + brokers
    own_at = clients_at + clients
    fields_at = own_at + own_texts
    _check_names(texts[fields_at : fields_at + count : 2], count)
    return Envelope(
        message_type,
        tuple(texts[3:clients_at]),
        tuple(texts[clients_at:own_at]),
        texts[own_at + 1] if own_texts else "",
        view[payload_at : payload_at + length],
        head[2:id_end],
        head[addresses_at:addresses_end],
        tail[:own_end],
        count // 2,
        tail[rest_at:rest_end],
    )


def _texts(packed: list[bytes]) -> list[str]:
    """Return texts of their UTF-8 bytes, all in one go.

    Raises:
        ValueError: One is no UTF-8, or has the character that separates them meanwhile.
    """
    # No character of more bytes has a NUL among them, so none can reach into the next text.
    texts = b"\0".join(packed).decode().split("\0")
    if len(texts) != len(packed):
        raise ValueError("a text with a NUL character")
    return texts


def _check_names(names: list[str], count: int) -> None:
    """Raise ValueError unless ``count`` texts are fields with these names, all of which stay."""
    if count % 2 or len(set(names)) != len(names) or CERTIFICATES_FIELD in names:
        raise ValueError("a field without value, twice, or with the broker's own name")
