import multiprocessing
import os
import shutil
import ssl
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from dxlclient.broker import Broker
from dxlclient.client_config import DxlClientConfig
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfabric.certificates import (
    Credentials,
    Provisioned,
    provision,
    read_bundle,
)
from dxlfabric.errors import CertificateError
from dxlfabric.issuing import (
    AUTHORITY_LIFETIME,
    LIFETIME,
    RENEWAL_MARGIN,
    Authority,
    belongs_to_key,
    hosts_of,
    issue_authority,
    issue_client,
    issued_by,
    new_key,
    normalized_host,
)
from dxlfabric.keypairs import read_key

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("fabric") / "home"
    provision(home, clients=["alice"], now=NOW)
    return home


@pytest.fixture
def home(made_once: Path) -> Iterator[Path]:
    """A provisioned home that a test may change: put aside, used in place, brought back."""
    kept = made_once.with_name("kept")
    shutil.copytree(made_once, kept)
    yield made_once
    shutil.rmtree(made_once)
    kept.rename(made_once)


def files(home: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(home)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in home.rglob("*")
        if path.is_file()
    }


def changed(home: Path, before: dict[str, tuple[bytes, int]]) -> set[str]:
    after = files(home)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def pairs(home: Path) -> list[tuple[Path, Path]]:
    keys = sorted(home.rglob("*.key"))
    return [(key.with_suffix(".crt"), key) for key in keys]


def assert_consistent(home: Path) -> None:
    authority = read_bundle(home / "fabric" / "ca.crt")[0]
    for certificate_file, key_file in pairs(home):
        certificate = read_bundle(certificate_file)[0]
        assert belongs_to_key(certificate, read_key(key_file)), certificate_file
        assert issued_by(certificate, authority), certificate_file
    for bundle in home.rglob("ca-bundle.crt"):
        assert read_bundle(bundle) == [authority]


def test_first_call_makes_everything(made_once: Path) -> None:
    member = {"ca-bundle.crt", "client.crt", "client.key", "dxlclient.config"}
    expected = {
        *(f"fabric/{name}" for name in ("ca.crt", "ca.key", "broker.crt", "broker.key")),
        "fabric/broker.id",
        *(f"client/{name}" for name in member),
        *(f"service/{name}" for name in member),
        *(f"clients/alice/{name}" for name in member),
    }
    assert set(files(made_once)) - {"fabric/.lock"} == expected
    assert_consistent(made_once)


def test_result_says_where_things_are(made_once: Path) -> None:
    result = provision(made_once, now=NOW)

    assert result.home == made_once
    assert result.broker == Credentials(
        made_once / "fabric/ca.crt",
        made_once / "fabric/broker.crt",
        made_once / "fabric/broker.key",
    )
    assert result.client.configuration == made_once / "client/dxlclient.config"
    assert result.client.credentials.authority == made_once / "client/ca-bundle.crt"
    assert result.service.credentials.private_key == made_once / "service/client.key"
    assert list(result.clients) == ["alice"]
    assert (made_once / "fabric/broker.id").read_text().strip() == result.broker_id
    assert str(uuid.UUID(result.broker_id)) == result.broker_id
    assert result.port == 8883


def test_second_call_changes_nothing(made_once: Path) -> None:
    before = files(made_once)

    result = provision(made_once, clients=["alice"], now=NOW + timedelta(days=100))

    assert result.written == ()
    assert changed(made_once, before) == set()


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_keys_are_closed_whatever_the_mask(tmp_path: Path, mask: int) -> None:
    previous = os.umask(mask)
    try:
        provision(tmp_path / "home", clients=["alice"])
    finally:
        os.umask(previous)

    for _, key in pairs(tmp_path):
        assert mode(key) == 0o600
        assert mode(key.parent) == 0o700


def test_keys_and_directories_that_are_open_are_closed(home: Path) -> None:
    for _, key in pairs(home):
        key.chmod(0o644)
        key.parent.chmod(0o755)

    assert provision(home, now=NOW).written == ()

    for _, key in pairs(home):
        assert mode(key) == 0o600
        assert mode(key.parent) == 0o700


def test_new_host_reissues_the_broker_certificate_alone(home: Path) -> None:
    before = files(home)
    key_before = (home / "fabric/broker.key").read_bytes()

    provision(home, hosts=["Files.Example.org", "192.0.2.7"], clients=["alice"], now=NOW)
    provision(home, hosts=["[2001:db8::7]", "bücher.example"], now=NOW)

    hosts = set(hosts_of(read_bundle(home / "fabric/broker.crt")[0]))
    assert hosts >= {"localhost", "127.0.0.1", "::1", "files.example.org", "192.0.2.7"}
    assert hosts >= {"2001:db8::7", "xn--bcher-kva.example"}
    assert (home / "fabric/broker.key").read_bytes() == key_before
    configurations = {f"{name}/dxlclient.config" for name in ("client", "service", "clients/alice")}
    assert changed(home, before) == {"fabric/broker.crt", *configurations}


def test_first_host_is_what_clients_use(home: Path) -> None:
    provision(home, hosts=["2001:db8::7", "other.example"], now=NOW)
    assert broker_of(home / "client").host_name == "2001:db8::7"

    provision(home, now=NOW)
    assert broker_of(home / "client").host_name == "2001:db8::7"


def test_machine_with_an_unusable_name(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch("socket.gethostname", return_value="not a name!")
    result = provision(tmp_path)
    hosts = hosts_of(read_bundle(result.broker.certificate)[0])
    assert set(hosts) == {"localhost", "127.0.0.1", "::1"}


def test_certificates_near_their_end_are_reissued_for_the_same_keys(home: Path) -> None:
    before = files(home)
    later = NOW + LIFETIME - RENEWAL_MARGIN + timedelta(days=1)

    result = provision(home, now=later)

    names = {
        "fabric/broker.crt",
        *(f"{d}/client.crt" for d in ("client", "service", "clients/alice")),
    }
    assert changed(home, before) == names
    assert {str(path.relative_to(home)) for path in result.written} == names
    assert_consistent(home)
    for name in names:
        assert read_bundle(home / name)[0].not_valid_after_utc > later + RENEWAL_MARGIN


def test_certificates_that_are_not_good_yet_are_reissued(home: Path) -> None:
    provision(home, now=NOW - timedelta(days=30))
    assert read_bundle(home / "client/client.crt")[0].not_valid_before_utc < NOW - timedelta(
        days=30
    )


def test_renewed_authority_still_vouches_for_old_certificates(home: Path) -> None:
    provision(home, now=NOW + timedelta(days=700))
    old = read_bundle(home / "client/client.crt")[0]
    key_before = (home / "fabric/ca.key").read_bytes()

    provision(home, now=NOW + AUTHORITY_LIFETIME)

    authority = read_bundle(home / "fabric/ca.crt")[0]
    assert authority.not_valid_after_utc > NOW + AUTHORITY_LIFETIME + timedelta(days=365)
    assert (home / "fabric/ca.key").read_bytes() == key_before
    assert issued_by(old, authority)
    assert_consistent(home)


def test_bundle_keeps_authorities_that_were_added(home: Path) -> None:
    bundle = home / "client/ca-bundle.crt"
    foreign = issue_authority(new_key(), now=NOW)
    bundle.write_bytes(bundle.read_bytes() + foreign.public_bytes(Encoding.PEM))
    before = files(home)

    provision(home, now=NOW)
    assert changed(home, before) == set()

    provision(home, now=NOW + AUTHORITY_LIFETIME)
    assert read_bundle(bundle) == [read_bundle(home / "fabric/ca.crt")[0], foreign]


@pytest.mark.parametrize("pair", ["fabric/broker", "client/client", "fabric/ca"])
def test_key_without_certificate_gets_one(home: Path, pair: str) -> None:
    before = files(home)
    (home / f"{pair}.crt").unlink()

    provision(home, now=NOW)

    assert_consistent(home)
    assert not {name for name in changed(home, before) if name.endswith(".key")}


@pytest.mark.parametrize("pair", ["fabric/broker", "client/client"])
def test_certificate_without_key_is_refused(home: Path, pair: str) -> None:
    (home / f"{pair}.key").unlink()
    with pytest.raises(CertificateError, match=rf"{pair}\.crt .*{pair}\.key.*restore"):
        provision(home, now=NOW)
    assert not (home / f"{pair}.key").exists()


@pytest.mark.parametrize("pair", ["fabric/ca", "fabric/broker", "client/client"])
def test_certificate_of_another_key_is_refused(home: Path, pair: str) -> None:
    shutil.copy(home / "clients/alice/client.crt", home / f"{pair}.crt")
    before = files(home)
    with pytest.raises(CertificateError, match=rf"{pair}\.crt does not belong .*{pair}\.key.*"):
        provision(home, now=NOW)
    assert changed(home, before) == set()


def test_certificate_of_another_authority_is_refused(home: Path) -> None:
    key = read_key(home / "client/client.key")
    foreign_key = new_key()
    foreign = Authority(issue_authority(foreign_key, now=NOW), foreign_key)
    certificate = issue_client(foreign, key, name="dxlft client", now=NOW)
    (home / "client/client.crt").write_bytes(certificate.public_bytes(Encoding.PEM))

    with pytest.raises(
        CertificateError, match=r"client\.crt was not issued by .*ca\.crt; .*remove"
    ):
        provision(home, now=NOW)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "broker.crt", "broker.key", "broker.id"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n"])
def test_damaged_file_is_named_and_kept(home: Path, name: str, content: bytes) -> None:
    (home / "fabric" / name).write_bytes(content)
    with pytest.raises(CertificateError, match=name.replace(".", r"\.")):
        provision(home, now=NOW)
    assert (home / "fabric" / name).read_bytes() == content


def test_authority_key_may_be_kept_elsewhere(home: Path) -> None:
    (home / "fabric/ca.key").unlink()

    assert provision(home, now=NOW).written == ()
    with pytest.raises(CertificateError, match=r"ca\.key is missing, .*bob/client\.crt"):
        provision(home, clients=["bob"], now=NOW)
    assert provision(home, now=NOW).written == ()
    with pytest.raises(CertificateError, match=r"ca\.crt has expired"):
        provision(home, now=NOW + AUTHORITY_LIFETIME + timedelta(days=2))


def test_clients_of_earlier_calls_are_kept_up_to_date(home: Path) -> None:
    result = provision(home, clients=["bob"], port=9000, now=NOW)
    assert list(result.clients) == ["bob", "alice"]
    assert broker_of(home / "clients/alice").port == 9000


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "a b", "é", "x" * 65, "a\0b"])
def test_client_names_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertificateError, match="no name for a client"):
        provision(tmp_path / "home", clients=[name])
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "a;b", "a..b", "-a", "a/b", "x" * 64, "a\0b", "*"]
)
def test_hosts_that_are_none(tmp_path: Path, host: str) -> None:
    with pytest.raises(CertificateError, match="neither a host name nor an IP address"):
        provision(tmp_path / "home", hosts=[host])
    assert not (tmp_path / "home").exists()


@given(st.text())
def test_any_text_is_a_host_or_a_clear_error(host: str) -> None:
    try:
        normal = normalized_host(host)
    except CertificateError:
        return
    assert normalized_host(normal) == normal
    assert normal.isascii()
    assert not set(normal) & set(' ;,"\n')


def test_processes_at_the_same_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=spawn) as processes:
        jobs = [processes.submit(provision, home, clients=[f"client{n % 2}"]) for n in range(3)]
        results: list[Provisioned] = [job.result(timeout=60) for job in jobs]

    assert len({result.broker_id for result in results}) == 1
    assert_consistent(home)
    written = [path for result in results for path in result.written if path.suffix == ".key"]
    assert len(written) == len(set(written)) == 6


def test_lock_that_is_held_too_long(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch("dxlfabric.certificates.LOCK_TIMEOUT", 0.01)
    (tmp_path / "fabric").mkdir()
    with (
        FileLock(tmp_path / "fabric" / ".lock"),
        pytest.raises(CertificateError, match="another provisioning"),
    ):
        provision(tmp_path)


def broker_of(directory: Path) -> Broker:
    return DxlClientConfig.create_dxl_config_from_file(str(directory / "dxlclient.config")).brokers[
        0
    ]


def handshake(server: Credentials, client: Credentials, *, twelve: bool) -> tuple[str, str]:
    """Return TLS version and cipher of a handshake without a socket."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context, files in ((server_context, server), (client_context, client)):
        context.load_cert_chain(files.certificate, files.private_key)
        context.load_verify_locations(files.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if twelve:
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        client_context.set_ciphers("AES128-SHA256")
        server_context.set_ciphers("AES128-SHA256")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client_context.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server_context.wrap_bio(to_server, to_client, server_side=True),
    ]
    open_ends = list(ends)
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            open_ends.remove(end)
    assert not open_ends
    cipher = ends[0].cipher()
    assert cipher is not None
    return cipher[0], ends[0].version() or ""


def test_strict_peers_accept_the_certificates(tmp_path: Path) -> None:
    fabric = provision(tmp_path)
    client = fabric.client.credentials
    assert handshake(fabric.broker, client, twelve=True) == ("AES128-SHA256", "TLSv1.2")
    assert handshake(fabric.broker, client, twelve=False)[1] == "TLSv1.3"
