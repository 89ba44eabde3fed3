"""What is said inside the handshake."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.admission import (
    Admission,
    Admitted,
    Cipher,
    SessionPurpose,
    TransferNote,
)

texts = st.text(max_size=30)
ids = st.text(min_size=1, max_size=64)
counts = st.integers(0, 2**63 - 1)
notes = st.builds(
    TransferNote,
    transfer_id=ids,
    destination_path=texts,
    overwrite_mode=counts,
    flags=counts,
    time_resolution_us=counts,
    total_files=counts,
    total_size=counts,
)
admissions = st.builds(
    Admission,
    admission_id=ids,
    purpose=st.sampled_from(SessionPurpose),
    cipher=st.sampled_from(Cipher),
    user=st.none() | texts,
    password=st.none() | texts,
    token=st.none() | texts,
    ticket=st.none() | texts,
    transfer=st.none() | notes,
)

LEAST: dict[str, Any] = {"admission_id": "a", "purpose": "control"}


@given(admissions)
def test_an_admission_comes_back(admission: Admission) -> None:
    assert Admission.from_bytes(admission.to_bytes()) == admission


@given(admissions)
def test_the_length_of_an_admission_tells_little(admission: Admission) -> None:
    assert len(admission.to_bytes()) % 256 == 0


def test_passwords_of_usual_lengths_make_no_difference_in_size() -> None:
    sizes = {
        len(Admission(**{**LEAST, "user": "u", "password": "x" * length}).to_bytes())
        for length in range(4, 64)
    }
    assert len(sizes) == 1


def test_secrets_are_not_shown() -> None:
    admission = Admission(
        admission_id="a",
        purpose=SessionPurpose.CONTROL,
        user="jsmith",
        password="swordfish",
        token="7.token",
        ticket="ticket",
    )
    for secret in ("swordfish", "7.token", "'ticket'"):
        assert secret not in repr(admission)


@given(st.sampled_from(Cipher))
def test_the_answer_comes_back(cipher: Cipher) -> None:
    admitted = Admitted(session="0" * 32, cipher=cipher)
    assert Admitted.from_bytes(admitted.to_bytes()) == admitted


def test_what_is_not_known_is_ignored() -> None:
    note = {"transfer_id": "1", "colour": "blue"}
    text = json.dumps({**LEAST, "transfer": note, "colour": "blue"}).encode()
    assert Admission.from_bytes(text).transfer == TransferNote(transfer_id="1")


@pytest.mark.parametrize(
    "change",
    [
        {"admission_id": None},
        {"admission_id": ""},
        {"admission_id": "x" * 129},
        {"purpose": "world domination"},
        {"purpose": []},
        {"user": 7},
        {"user": None},
        {"user": "\ud800"},
        {"password": ["x"]},
        {"password": "x" * 8193},
        {"transfer": 7},
        {"transfer": {}},
        {"transfer": {"transfer_id": 7}},
        {"transfer": {"transfer_id": "7", "flags": "7"}},
        {"transfer": {"transfer_id": "7", "flags": True}},
        {"transfer": {"transfer_id": "7", "flags": -1}},
        {"transfer": {"transfer_id": "7", "total_size": 2**63}},
        {"transfer": {"transfer_id": "7", "destination_path": "x" * 8193}},
    ],
)
def test_what_is_no_admission_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="no valid admission") as caught:
        Admission.from_bytes(json.dumps({**LEAST, **change}).encode())
    assert caught.value.code == ErrorCode.INVALID


@pytest.mark.parametrize("text", [b"", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"purpose": "x"}'])
def test_garbage_is_refused(text: bytes) -> None:
    for kind in (Admission, Admitted):
        with pytest.raises(RefusedError) as caught:
            kind.from_bytes(text)
        assert caught.value.code == ErrorCode.INVALID


@pytest.mark.parametrize("cipher", [4, -1, "high", None, []])
def test_a_cipher_that_nobody_knows_is_refused_as_such(cipher: object) -> None:
    with pytest.raises(RefusedError) as caught:
        Admission.from_bytes(json.dumps({**LEAST, "cipher": cipher}).encode())
    assert caught.value.code == ErrorCode.CIPHER
