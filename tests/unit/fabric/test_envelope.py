"""What a broker passes on: the same bytes as if it had read everything and written it anew."""

import dataclasses
import re
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dxlfabric import envelope as envelopes
from dxlfabric import message as codec
from dxlfabric.envelope import CERTIFICATES_FIELD, Stamp
from dxlfabric.errors import MalformedMessageError
from dxlfabric.mqtt import Publish
from dxlfabric.packets import PacketReader
from dxlfabric.packing import pack_texts
from tests.unit.fabric.fabricfixtures import BROKER, identity
from tests.unit.fabric.test_message import messages, recorded

SENDER = identity("sender")
STAMP = Stamp.of(SENDER, BROKER)
HERE = pack_texts((BROKER,)) + pack_texts(("service:1",))
VERSIONS = st.integers(0, 3).flatmap(messages)


def stamped(message: codec.Message) -> codec.Message:
    """The message as a broker sends it, whatever it says of its sender itself."""
    fields = {CERTIFICATES_FIELD: ";".join(SENDER.certificates)}
    for name, value in message.other_fields.items():
        fields.setdefault(name, value)
    return dataclasses.replace(
        message,
        version=3,
        source_broker_id=BROKER,
        source_client_id=SENDER.client_id,
        source_client_instance=SENDER.instance,
        other_fields=fields,
    )


def check(data: bytes) -> None:
    """Compare what is passed on, and what is read, with what is read object by object."""
    try:
        message = codec._unpacked(memoryview(data))
    except MalformedMessageError as error:
        for read in (envelopes.read, codec.decode):
            with pytest.raises(MalformedMessageError, match=re.escape(str(error))):
                read(data)
        return
    assert codec.decode(data) == message
    envelope = envelopes.read(data)
    assert envelope.message_type == message.message_type
    assert envelope.broker_ids == message.broker_ids
    assert envelope.client_ids == message.client_ids
    assert envelope.service_id == getattr(message, "service_id", "")
    expected = stamped(message)
    assert envelope.stamped(STAMP) == codec.encode(expected)
    if isinstance(expected, codec.Request):
        service_id = expected.service_id or "{chosen}"
        chosen = dataclasses.replace(
            expected, broker_ids=(BROKER,), client_ids=("service:1",), service_id=service_id
        )
        assert envelope.assigned(STAMP, HERE, service_id) == codec.encode(chosen)


@given(VERSIONS, st.binary(max_size=3))
def test_any_message(message: codec.Message, more: bytes) -> None:
    check(codec.encode(message).join() + more)


@given(VERSIONS, st.sampled_from([0, 1, 2]), st.text(max_size=3))
def test_a_certificate_of_the_senders_own_making_is_dropped(
    message: codec.Message, place: int, forged: str
) -> None:
    fields = list(message.other_fields.items())
    fields.insert(place, (CERTIFICATES_FIELD, forged))
    data = codec.encode(dataclasses.replace(message, other_fields=dict(fields))).join()
    check(data)
    sent = codec.decode(envelopes.read(data).stamped(STAMP).join()).other_fields
    assert next(iter(sent.items())) == (CERTIFICATES_FIELD, ";".join(SENDER.certificates))


@given(VERSIONS, st.data())
def test_a_damaged_message(message: codec.Message, data: st.DataObject) -> None:
    damaged = bytearray(codec.encode(dataclasses.replace(message, payload=b"x")).join())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(damaged))


@given(VERSIONS, st.data())
def test_a_part_of_a_message(message: codec.Message, data: st.DataObject) -> None:
    whole = codec.encode(dataclasses.replace(message, payload=b"x" * 10)).join()
    check(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("more", [{}, {"destination_tenant_ids": ("x" * 40, "tenant")}])
def test_every_part_of_a_message(version: int, more: dict[str, Any]) -> None:
    request = codec.Request(
        message_id="{1}",
        version=version,
        other_fields={"a": "1", "b": "x" * 32},
        source_client_instance="sender:1",
        **more,
    )
    whole = codec.encode(request).join()
    for length in range(len(whole) + 1):
        check(whole[:length])


@pytest.mark.parametrize("name", ["message_id", "service_id", "reply_to_topic", "source_tenant_id"])
def test_a_nul_in_a_text_moves_none_of_the_others(name: str) -> None:
    texts: dict[str, Any] = {"message_id": "{1}", "service_id": "{s}", name: "a\0b"}
    check(codec.encode(codec.Request(client_ids=("one", "two"), **texts)).join())


def test_a_version_to_come() -> None:
    data = codec.encode(codec.Event(message_id="{1}", version=3)).join()
    check(b"\x04" + data[1:] + b"\xa0\xa0")


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_what_follows_a_message_is_not_taken_for_a_tenant(version: int) -> None:
    check(codec.encode(codec.Event(message_id="{1}", version=version)).join() + b"\xa1t\x91\xa1u")


@given(st.binary(max_size=300))
def test_any_input(data: bytes) -> None:
    check(data)


FORMS = st.sampled_from(["shortest", "8", "16", "32"])


def raw(content: bytes, form: str) -> bytes:
    size = len(content)
    if form == "8":
        return struct.pack(">BB", 0xD9, size) + content
    if form == "16" or (form == "shortest" and size > 31):
        return struct.pack(">BH", 0xDA, size) + content
    if form == "32":
        return struct.pack(">BI", 0xDB, size) + content
    return bytes((0xA0 | size,)) + content


def array(items: list[bytes], form: str) -> bytes:
    count = len(items)
    if form == "16" or (form == "shortest" and count > 15):
        header = struct.pack(">BH", 0xDC, count)
    elif form == "32":
        header = struct.pack(">BI", 0xDD, count)
    else:
        header = bytes((0x90 | count,)) if count < 16 else struct.pack(">BH", 0xDC, count)
    return header + b"".join(items)


RAWS = st.one_of(
    st.just(b"\xc0"),
    st.sampled_from([CERTIFICATES_FIELD, "a", "b", "a\0b", "é" * 20, ""]).map(
        lambda text: raw(text.encode(), "shortest")
    ),
    st.builds(raw, st.sampled_from([b"\xc3", b"\xa9", b"x" * 31, b"x" * 32, b"a"]), FORMS),
    st.text(max_size=40).map(lambda text: raw(text.encode(), "shortest")),
)
ARRAYS = st.builds(array, st.lists(RAWS, max_size=20), FORMS)


@given(
    st.sampled_from([b"\x00", b"\x01", b"\x02", b"\x03", b"\xcc\x02", b"\x04"]),
    st.sampled_from([b"\x00", b"\x01", b"\x02", b"\x03\xff", b"\xd0\x01", b"\x05"]),
    st.tuples(RAWS, RAWS, RAWS, ARRAYS, ARRAYS, RAWS, RAWS, RAWS, ARRAYS, RAWS, ARRAYS, RAWS),
)
@example(
    b"\x02", b"\x02", (*[b"\xa0"] * 3, b"\x90", b"\x90", b"\xa0", b"\x91\xa1a", *[b"\x90"] * 5)
)
def test_forms_that_we_do_not_write(
    version: bytes, message_type: bytes, parts: tuple[bytes, ...]
) -> None:
    *before, reply_to, service_id, fields, tenant, tenants, instance = parts
    own = [] if message_type == b"\x02" else [reply_to, service_id]
    check(b"".join((version, message_type, *before, *own, fields, tenant, tenants, instance)))


def with_fields(*texts: bytes) -> bytes:
    head = b"\x02\x02" + raw(b"{1}", "shortest") + b"\xa0\xa0\x90\x90" + raw(b"content", "shortest")
    return head + array([raw(text, "shortest") for text in texts], "shortest") + b"\xa0\x90"


@pytest.mark.parametrize(
    "texts",
    [
        (b"a", b"1", b"a", b"2"),
        (b"a", b"1", b"b", b"2", b"a", b"3"),
        (CERTIFICATES_FIELD.encode(), b"1", CERTIFICATES_FIELD.encode(), b"2"),
        (b"a", CERTIFICATES_FIELD.encode()),
        (b"a",),
        (b"a", b"\xc3", b"\xa9", b""),
        (b"a\0b", b""),
        (b"a", b"\0"),
        (b"a\0b", b"1", CERTIFICATES_FIELD.encode(), b"2"),
        (f"a\0{CERTIFICATES_FIELD}".encode(), b"1"),
    ],
)
def test_fields_that_look_alike(texts: tuple[bytes, ...]) -> None:
    check(with_fields(*texts))


@pytest.mark.parametrize("count", [0, 6, 7, 8, 32_766, 32_767, 32_768])
def test_two_texts_more_may_take_a_longer_header(count: int) -> None:
    fields = {str(number): "" for number in range(count)}
    check(codec.encode(codec.Event(message_id="{1}", other_fields=fields)).join())


@pytest.mark.parametrize("count", [1, 6, 7, 8, 12, 13, 14, 20])
def test_many_recipients(count: int) -> None:
    names = tuple(f"{{{number:036d}}}" for number in range(count))
    check(codec.encode(codec.Response(message_id="{1}", client_ids=names)).join())


@pytest.mark.parametrize("length", [0, 31, 32, 65_535, 65_536])
def test_the_payload_is_a_view_of_the_input(length: int) -> None:
    data = codec.encode(codec.Event(message_id="{1}", payload=b"x" * length)).join()
    check(data)
    payload = envelopes.read(data).payload
    assert isinstance(payload, memoryview)
    assert payload.obj is data
    assert len(payload) == length


def test_every_recorded_message() -> None:
    for packet in recorded():
        (publish,) = PacketReader().feed(packet)
        assert isinstance(publish, Publish)
        check(bytes(publish.payload))


USUAL = [
    codec.Event(message_id="{1}", other_fields={"a": "1"}),
    codec.Request(
        message_id="{1}",
        reply_to_topic="/mcafee/client/{1}",
        service_id="{s}",
        payload=bytes(1_000_000),
        other_fields={str(number): "x" * 64 for number in range(12)},
    ),
    codec.Response(
        message_id="{1}",
        client_ids=("a" * 40,),
        broker_ids=(BROKER,),
        request_message_id="{r}",
        service_id="{s}",
    ),
]


@pytest.mark.parametrize("message", USUAL)
@pytest.mark.parametrize("version", [2, 3])
def test_usual_messages_are_not_decoded(
    monkeypatch: pytest.MonkeyPatch, message: codec.Message, version: int
) -> None:
    message = dataclasses.replace(message, version=version)
    data = codec.encode(message).join()
    expected = codec.encode(stamped(message))
    monkeypatch.delattr(envelopes, "decode")
    assert envelopes.read(data).stamped(STAMP) == expected


@pytest.mark.parametrize("message", USUAL)
@pytest.mark.parametrize("version", [2, 3])
def test_usual_messages_are_not_read_object_by_object(
    monkeypatch: pytest.MonkeyPatch, message: codec.Message, version: int
) -> None:
    message = dataclasses.replace(message, version=version)
    monkeypatch.delattr(codec, "Unpacker")
    assert codec.decode(codec.encode(message).join()) == message
