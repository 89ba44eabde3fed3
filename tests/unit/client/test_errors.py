import errno
import pickle

import pytest

from dxlfiletransferclient.errors import ServiceError, StorageError, UnsafeNameError, brief


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        ("a\n\x1b[2J", r"'a\n\x1b[2J'"),
        (b"a", "b'a'"),
        (7, "7"),
        (None, "None"),
        ([1], "a value of type list"),
        (2**64, "a value of type int"),
    ],
)
def test_brief(value: object, shown: str) -> None:
    assert brief(value) == shown


def test_brief_takes_numbers_that_cannot_be_shown() -> None:
    assert brief(10**5000) == "a value of type int"


def test_brief_shortens_what_is_long() -> None:
    shown = brief("x" * 100_000)
    assert len(shown) < 120
    assert "100000" in shown


def test_service_error_names_message_and_code() -> None:
    error = ServiceError("no room", 17)
    assert (error.message, error.code) == ("no room", 17)
    assert "no room" in str(error)
    assert "17" in str(error)


def test_storage_error_is_an_os_error_with_a_plain_message() -> None:
    error = StorageError(errno.ENOSPC, "cannot store 'a': No space left on device")
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC
    assert str(error) == "cannot store 'a': No space left on device"


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("no room", 17, "make some"),
        StorageError(errno.ENOSPC, "cannot store"),
        UnsafeNameError("../a", "leads out"),
    ],
)
def test_errors_go_from_process_to_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_unsafe_name_error_names_the_name() -> None:
    error = UnsafeNameError("../a", "leads out")
    assert isinstance(error, ValueError)
    assert str(error) == "file name '../a' leads out"
