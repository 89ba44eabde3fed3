import errno
import logging

import pytest

from dxlfiletransferclient.errors import StorageError, UnsafeNameError
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.faults import refusals_of_storage
from dxlfiletransferclient.storage.rooted import ObstructedError


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.STORAGE_FULL),
        (errno.EDQUOT, ErrorCode.STORAGE_FULL),
        (errno.EIO, ErrorCode.STORAGE_FAILED),
        (errno.EACCES, ErrorCode.STORAGE_FAILED),
        (errno.ENOENT, ErrorCode.STORAGE_FAILED),
    ],
)
def test_an_error_of_the_system_is_told_without_its_path(
    number: int, code: ErrorCode, caplog: pytest.LogCaptureFixture
) -> None:
    error = OSError(number, "went wrong", "/secret/path")
    with pytest.raises(RefusedError) as raised, refusals_of_storage("store 'a'"):
        raise error

    assert raised.value.code == code
    assert str(raised.value) == "cannot store 'a': went wrong"
    assert raised.value.__cause__ is error
    assert "/secret/path" in caplog.text


def test_an_error_without_text_is_told_by_its_type() -> None:
    with (
        pytest.raises(RefusedError, match="cannot store 'a': TimeoutError"),
        refusals_of_storage("store 'a'"),
    ):
        raise TimeoutError


def test_errors_of_the_store_count_as_errors_of_the_system() -> None:
    with pytest.raises(RefusedError) as raised, refusals_of_storage("store 'a'"):
        raise StorageError(errno.ENOSPC, "nothing is left")

    assert raised.value.means(ErrorCode.STORAGE_FULL)
    assert raised.value.message == "cannot store 'a': nothing is left"


def test_other_refusals_go_through(caplog: pytest.LogCaptureFixture) -> None:
    refusal = RefusedError(ErrorCode.BUSY, "later")
    with pytest.raises(RefusedError) as raised, refusals_of_storage("store 'a'"):
        raise refusal

    assert raised.value is refusal
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_names_are_refused_by_what_is_wrong_with_them() -> None:
    for error, code in (
        (UnsafeNameError("a", "is wrong"), ErrorCode.UNSAFE_NAME),
        (ObstructedError("a", "is wrong", reserved=True), ErrorCode.UNSAFE_NAME),
        (ObstructedError("a", "is wrong"), ErrorCode.WRONG_KIND),
    ):
        with (
            pytest.raises(RefusedError, match="file name 'a' is wrong") as raised,
            refusals_of_storage("store 'a'"),
        ):
            raise error
        assert raised.value.code == code
