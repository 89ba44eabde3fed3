"""Where the parts of a DXL message lie, for messages as clients and brokers write them today.

Reading a message object by object takes some calls for each of its twenty texts. Nearly all are of
version 2 or 3 and packed in the shortest form: these are looked over in a few loops, and all their
texts are decoded at once. Whatever else there may be is for :class:`dxlfabric.packing.Unpacker`.
"""

from typing import Final, NamedTuple

from dxlfabric.packing import take_array, take_raw_header, take_raws

LONGEST_BEGINNING: Final = 512
"""Bytes in which what comes before a payload has to end for a message to be looked over: twice what
identifiers of the usual length take. They are copied, a little of the payload among them."""

_WITH_TENANTS: Final = 2
_WITH_INSTANCE: Final = 3

_OWN_TEXTS: Final = (2, 2, 0)
"""Texts that only requests, responses and events have, in the order of their types' numbers.

Errors have more than texts, and are few.
"""

_FIRST_TEXTS: Final = 3


class Layout(NamedTuple):
    """The parts of a message.

    Attributes:
        version: 2 or 3.
        message_type: Number of a request, response or event.
        texts: All texts of the message in their order: identifier, client, broker; brokers and
            clients to deliver to; what the type has; other fields; tenants; the instance.
        clients_at: Index of the first client to deliver to; the brokers begin at 3.
        own_at: Index of the first text that only this type has.
        fields_at: Index of the first name or value of the other fields.
        tenants_at: Index of the sender's tenant.
        instance_at: Index behind the last tenant.
        head: Bytes of the message from its beginning on.
        id_end: Where the identifier ends in ``head``.
        addresses: Where brokers and clients begin and end in ``head``.
        payload: Where the payload begins and ends in the message.
        tail: What follows the payload.
        own_end: Where the texts of the type end in ``tail``.
        rest: Where the other fields begin, without their count, and the tenants end, in ``tail``.
    """

    version: int
    message_type: int
    texts: list[str]
    clients_at: int
    own_at: int
    fields_at: int
    tenants_at: int
    instance_at: int
    head: bytes
    id_end: int
    addresses: tuple[int, int]
    payload: tuple[int, int]
    tail: bytes
    own_end: int
    rest: tuple[int, int]


def look_over(view: memoryview) -> Layout:
    """Find the parts of a message.

    Raises:
        IndexError: It is another one than those for which this is: it ends too early.
        ValueError: It is another one for any other reason, such as a text that is no UTF-8.
    """
    head = bytes(view[:LONGEST_BEGINNING])
    version, message_type = head[0], head[1]
    if not _WITH_TENANTS <= version <= _WITH_INSTANCE:
        raise ValueError("a version without tenants")
    own_texts = _OWN_TEXTS[message_type]
    packed: list[bytes] = []
    id_end = take_raws(head, 2, 1, packed)
    addresses_at = take_raws(head, id_end, _FIRST_TEXTS - 1, packed)
    brokers, at = take_array(head, addresses_at)
    clients, at = take_array(head, take_raws(head, at, brokers, packed))
    addresses_end = take_raws(head, at, clients, packed)
    length, payload_at = take_raw_header(head, addresses_end)

    tail = bytes(view[payload_at + length :])
    own_end = take_raws(tail, 0, own_texts, packed)
    count, rest_at = take_array(tail, own_end)
    if count % 2:
        raise ValueError("a field without value")
    tenants, at = take_array(tail, take_raws(tail, rest_at, count + 1, packed))
    rest_end = take_raws(tail, at, tenants, packed)
    if take_raws(tail, rest_end, version - _WITH_TENANTS, packed) > len(tail):
        raise IndexError("the last text is cut short")

    clients_at = _FIRST_TEXTS + brokers
    own_at = clients_at + clients
    fields_at = own_at + own_texts
    tenants_at = fields_at + count
    return Layout(
        version,
        message_type,
        _texts(packed),
        clients_at,
        own_at,
        fields_at,
        tenants_at,
        tenants_at + 1 + tenants,
        head,
        id_end,
        (addresses_at, addresses_end),
        (payload_at, payload_at + length),
        tail,
        own_end,
        (rest_at, rest_end),
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
