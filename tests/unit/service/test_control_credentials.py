"""What transfers log on with is readable for this server and this transfer alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferservice.control.sending.credentials import (
    CredentialVault,
    UnreadableCredentialsError,
)
from dxlfiletransferservice.courier.seams import Login

VAULT = CredentialVault(b"s" * 32)
LOGIN = Login(user="ann", password="hunter2")

_texts = st.none() | st.text(max_size=40)


@given(st.integers(1, 2**63 - 1), st.builds(Login, _texts, _texts, _texts))
def test_what_was_sealed_comes_back(number: int, login: Login) -> None:
    assert VAULT.open(number, VAULT.seal(number, login)) == login


def test_no_credentials_need_no_sealing() -> None:
    assert VAULT.seal(1, Login()) is None
    assert VAULT.open(1, None) == Login()


def test_nothing_of_it_is_readable() -> None:
    sealed = VAULT.seal(1, LOGIN)
    assert sealed is not None
    assert b"hunter2" not in sealed
    assert b"ann" not in sealed
    assert sealed != VAULT.seal(1, LOGIN)


def test_it_opens_for_no_other_transfer() -> None:
    with pytest.raises(UnreadableCredentialsError):
        VAULT.open(2, VAULT.seal(1, LOGIN))


def test_it_opens_with_no_other_key() -> None:
    with pytest.raises(UnreadableCredentialsError):
        CredentialVault(b"t" * 32).open(1, VAULT.seal(1, LOGIN))


def test_every_bit_counts() -> None:
    sealed = VAULT.seal(1, LOGIN)
    assert sealed is not None
    for place in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[place] ^= 1
        with pytest.raises(UnreadableCredentialsError):
            VAULT.open(1, bytes(damaged))
    for length in range(len(sealed)):
        with pytest.raises(UnreadableCredentialsError):
            VAULT.open(1, sealed[:length])
