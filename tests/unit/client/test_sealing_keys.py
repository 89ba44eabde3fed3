"""Key pairs, and the file that a server keeps its own in."""

import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dxlfabric.durablefiles import write_file
from dxlfiletransferclient.sealing import keyfile
from dxlfiletransferclient.sealing.keyfile import KeyFileError, load_or_make
from dxlfiletransferclient.sealing.keys import (
    PrivateKey,
    check_public_key,
    public_bytes,
    public_text,
)

KEY = PrivateKey.from_bytes(bytes(range(32)))


def test_a_key_comes_back_from_its_bytes() -> None:
    key = PrivateKey.generate()
    assert PrivateKey.from_bytes(key.to_bytes()).public == key.public
    assert public_bytes(key.public) == key.public_bytes


def test_each_key_is_another_one() -> None:
    assert len({PrivateKey.generate().public for _ in range(50)}) == 50


def test_two_keys_have_the_same_in_common_from_both_sides() -> None:
    other = PrivateKey.generate()
    assert KEY.exchange(other.public_bytes) == other.exchange(KEY.public_bytes)


def test_the_text_of_a_public_key_is_one_word() -> None:
    for _ in range(50):
        text = PrivateKey.generate().public
        assert text.startswith("dxlft1-")
        assert len(text) == 50
        assert check_public_key(text) == text


def test_nothing_shows_the_secret() -> None:
    assert KEY.to_bytes().hex() not in repr(KEY)
    assert repr(KEY) == f"<PrivateKey of {KEY.public}>"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, not {length}"):
        PrivateKey.from_bytes(bytes(length))


@pytest.mark.parametrize("around", ["{}", " {}\n", "\t{}=", "{}="])
def test_blanks_around_a_public_key_do_no_harm(around: str) -> None:
    assert check_public_key(around.format(KEY.public)) == KEY.public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dxlft1-",
        KEY.public[:-1],
        KEY.public + "A",
        KEY.public.removeprefix("dxlft1-"),
        KEY.public.replace("dxlft1-", "dxlft2-"),
        KEY.public[:20] + " " + KEY.public[21:],
        KEY.public[:20] + "\u00e4" + KEY.public[21:],
        "x" * 100_000,
    ],
)
def test_what_is_no_public_key_is_refused_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match="'dxlft1-' with 43 letters"):
        check_public_key(text)


def test_a_public_key_that_makes_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="no public key that anybody can have"):
        check_public_key(public_text(bytes(32)))


def test_two_texts_of_one_key_compare_equal_once_they_are_checked() -> None:
    # The last character has two bits that mean nothing.
    last = KEY.public[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = KEY.public[:-1] + alphabet[alphabet.index(last) + 1]
    assert other != KEY.public
    assert check_public_key(other) == KEY.public


def test_the_file_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "home" / "server.key"
    key = load_or_make(path)
    content = path.read_bytes()
    assert load_or_make(path).to_bytes() == key.to_bytes()
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "home" / "server.key"
    load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    load_or_make(path)
    path.chmod(0o644)
    load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_processes_that_make_it_at_the_same_time_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.key"
    both_make_one = threading.Barrier(4)

    def write_and_wait(made: Path, data: bytes, *, mode: int) -> None:
        write_file(made, data, mode=mode)
        both_make_one.wait(10)

    monkeypatch.setattr(keyfile, "write_file", write_and_wait)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_or_make(path).to_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert list(tmp_path.iterdir()) == [path]


OTHER_KIND = generate_private_key(SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(100), OTHER_KIND])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "server.key"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"server\.key holds no X25519.*restore it"):
        load_or_make(path)
    assert path.read_bytes() == content


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    load_or_make(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(KeyFileError, match="restore it"):
        load_or_make(path)


def test_what_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyFileError, match=r"server\.key cannot be read or made"):
        load_or_make(tmp_path / "file" / "server.key")


def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read or made"):
        load_or_make(tmp_path)
