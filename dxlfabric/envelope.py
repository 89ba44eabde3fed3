"""What a broker reads of a message that it passes on, and how it writes what it puts there itself.

A broker needs to know whom a message is for and says who sent it; everything else goes out as it
came in. So most of a message is only looked over here, where :mod:`dxlfabric.message` would make
objects of it and bytes of those. What is sent is the same, byte for byte.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from dxlfabric.layout import look_over
from dxlfabric.message import (
    VERSION_OF_BROKERS,
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
)
from dxlfabric.registry import ClientIdentity

CERTIFICATES_FIELD: Final = "dxl.certs"
"""Other field in which a broker names the sender's certificates, root first."""


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
    found = look_over(view)
    texts, head, tail = found.texts, found.head, found.tail
    names = texts[found.fields_at : found.tenants_at : 2]
    _check_names(names)
    addresses, rest, payload = found.addresses, found.rest, found.payload
    return Envelope(
        found.message_type,
        tuple(texts[3 : found.clients_at]),
        tuple(texts[found.clients_at : found.own_at]),
        texts[found.own_at + 1] if found.own_end else "",
        view[payload[0] : payload[1]],
        head[2 : found.id_end],
        head[addresses[0] : addresses[1]],
        tail[: found.own_end],
        len(names),
        tail[rest[0] : rest[1]],
    )


def _check_names(names: list[str]) -> None:
    """Raise ValueError unless these are the names of fields all of which stay."""
    if len(set(names)) != len(names) or CERTIFICATES_FIELD in names:
        raise ValueError("a field twice, or with the broker's own name")
