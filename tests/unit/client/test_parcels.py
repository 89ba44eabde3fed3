import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.parcels import (
    CHECK,
    DIGEST,
    Parcel,
    check_of,
    digest_of,
    sealed,
    verified,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError, Remedy

names = st.text(max_size=10).filter(
    lambda name: name not in {CHECK, DIGEST} and not name.startswith("dxl.")
)
fields_of_messages = st.dictionaries(names, st.text(max_size=20), max_size=5)


def assert_corrupt(parcel: Parcel) -> None:
    with pytest.raises(RefusedError, match="damaged") as caught:
        verified(parcel)
    assert caught.value.code == ErrorCode.CORRUPT
    assert caught.value.remedy is Remedy.REPEAT


def test_digest_of_nothing_is_the_published_one() -> None:
    assert digest_of(b"") == "99aa06d3014798d86001c324468d497f"


@given(fields_of_messages, st.binary(max_size=50))
def test_what_is_sealed_is_verified(fields: dict[str, str], payload: bytes) -> None:
    parcel = verified(sealed(fields, payload))
    assert parcel.fields == {**fields, DIGEST: digest_of(payload)}
    assert parcel.payload == payload


@given(fields_of_messages, st.binary(max_size=50))
def test_every_kind_of_payload_has_the_same_seal(fields: dict[str, str], payload: bytes) -> None:
    expected = sealed(fields, payload).fields
    assert sealed(fields, bytearray(payload)).fields == expected
    assert sealed(fields, memoryview(payload)).fields == expected


@given(fields_of_messages, st.text(max_size=10), st.text(max_size=10))
def test_what_brokers_add_does_not_matter(fields: dict[str, str], name: str, value: str) -> None:
    parcel = sealed(fields)
    stamped = Parcel({f"dxl.{name}": value, **parcel.fields})
    assert verified(stamped) == verified(parcel)


@given(fields_of_messages, names, st.text(max_size=20))
def test_a_field_that_is_added_or_changed_is_noticed(
    fields: dict[str, str], name: str, value: str
) -> None:
    parcel = sealed(fields)
    if parcel.fields.get(name) != value:
        assert_corrupt(Parcel({**parcel.fields, name: value}))


@given(fields_of_messages, st.data())
def test_a_field_that_is_missing_is_noticed(fields: dict[str, str], data: st.DataObject) -> None:
    left = dict(sealed(fields).fields)
    del left[data.draw(st.sampled_from(sorted(left)))]
    assert_corrupt(Parcel(left))


@given(fields_of_messages, st.data())
def test_a_letter_that_moves_between_fields_is_noticed(
    fields: dict[str, str], data: st.DataObject
) -> None:
    parcel = sealed({**fields, "name": "ab", "version": "c"})
    assert_corrupt(Parcel({**parcel.fields, "name": "a", "version": "bc"}))


@given(fields_of_messages, st.binary(max_size=50), st.binary(max_size=50))
def test_another_payload_is_noticed(fields: dict[str, str], payload: bytes, other: bytes) -> None:
    if payload != other:
        assert_corrupt(Parcel(sealed(fields, payload).fields, other))


def test_text_that_is_no_unicode_is_damage() -> None:
    assert_corrupt(Parcel({**sealed({}).fields, "name": "\ud800"}))


def test_the_order_of_fields_does_not_matter() -> None:
    assert check_of({"a": "1", "b": "2"}) == check_of({"b": "2", "a": "1"})


@given(
    st.dictionaries(
        st.text("ab\0", max_size=3) | st.text(max_size=3),
        st.text("ab\0", max_size=3)
        | st.text(max_size=200)
        | st.integers(100, 300).map("x".__mul__),
        max_size=5,
    )
)
def test_the_check_is_that_of_the_protocol(fields: dict[str, str]) -> None:
    whole = b""
    ours = {name: value for name, value in fields.items() if not name.startswith("dxl.")}
    for name, value in sorted((name.encode(), value.encode()) for name, value in ours.items()):
        whole += len(name).to_bytes(4, "big") + name + len(value).to_bytes(4, "big") + value
    assert check_of({**fields, "dxl.x": "1", CHECK: "2"}) == digest_of(whole)
