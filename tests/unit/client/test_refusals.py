import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.errors import FileTransferError, ServiceError
from dxlfiletransferclient.protocol.coding import decode_refusal, encode_refusal
from dxlfiletransferclient.protocol.limits import MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.parcels import Parcel, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError, Remedy


@given(
    st.sampled_from(ErrorCode) | st.integers(0, 2**32 - 1),
    st.text(max_size=MAX_REASON_LENGTH),
    st.none() | st.integers(0, 10**9),
)
def test_a_refusal_comes_back_as_it_was(code: int, text: str, milliseconds: int | None) -> None:
    retry_after = None if milliseconds is None else milliseconds / 1000
    found = decode_refusal(encode_refusal(RefusedError(code, text, retry_after)))
    assert (found.code, found.message, found.retry_after) == (code, text, retry_after)


def test_a_long_text_is_cut() -> None:
    found = decode_refusal(encode_refusal(RefusedError(ErrorCode.INVALID, "a" * 1000)))
    assert found.message == "a" * MAX_REASON_LENGTH


def test_text_that_is_no_unicode_is_told_all_the_same() -> None:
    found = decode_refusal(encode_refusal(RefusedError(ErrorCode.INVALID, "name \udcff!")))
    assert found.message == "name \\udcff!"
    assert found.means(ErrorCode.INVALID)


def test_a_negative_time_to_wait_is_none_at_all() -> None:
    found = decode_refusal(encode_refusal(RefusedError(ErrorCode.BUSY, "later", -3)))
    assert found.retry_after == 0


@pytest.mark.parametrize("parcel", [Parcel({}), Parcel({"code": "100", "text": "a"})])
def test_a_refusal_that_was_damaged_is_damage(parcel: Parcel) -> None:
    found = decode_refusal(parcel)
    assert found.means(ErrorCode.CORRUPT)
    assert found.remedy is Remedy.REPEAT


def test_a_refusal_that_is_none_is_invalid() -> None:
    assert decode_refusal(sealed({"code": "x", "text": ""})).means(ErrorCode.INVALID)


@pytest.mark.parametrize("code", ErrorCode)
def test_codes_are_known_signed_and_unsigned(code: ErrorCode) -> None:
    signed = code - 2**32 if code >= 2**31 else int(code)
    assert ErrorCode.of(int(code)) is code
    assert ErrorCode.of(signed) is code
    assert RefusedError(signed, "").means(code)
    assert RefusedError(signed, "").remedy is code.remedy
    assert code.meaning


def test_a_code_of_a_newer_service_has_no_remedy() -> None:
    error = RefusedError(4711, "too new")
    assert ErrorCode.of(4711) is None
    assert error.remedy is Remedy.NONE
    assert not error.means(*ErrorCode)


def test_what_a_person_sees() -> None:
    error = RefusedError(ErrorCode.NOT_FOUND, "'a' does not exist")
    assert str(error) == "'a' does not exist"
    assert isinstance(error, ServiceError)
    assert isinstance(error, FileTransferError)
