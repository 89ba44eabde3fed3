"""Certificates for a fabric of one's own: a CA, a broker, and clients with ready configurations.

:func:`provision` keeps them under one directory, the home::

    fabric/        ca.crt ca.key broker.crt broker.key broker.id
    client/        ca-bundle.crt client.crt client.key dxlclient.config
    service/       the same, for the file transfer service
    clients/NAME/  the same, for each named client
"""

import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from filelock import FileLock, Timeout

from dxlfabric.chains import certificate_chain, certificate_id, parse_bundle, pem_text, read_bundle
from dxlfabric.configuration import (
    DEFAULT_PORT,
    BrokerAddress,
    configured_broker,
    write_client_configuration,
)
from dxlfabric.credentials import Credentials
from dxlfabric.durablefiles import make_private_directory
from dxlfabric.errors import CertificateError
from dxlfabric.issuing import Authority, hosts_of, issue_broker, issue_client, normalized_host
from dxlfabric.keypairs import KeyPair, KeyPairs

__all__ = [
    "CONFIGURATION_NAME",
    "DEFAULT_PORT",
    "Credentials",
    "Provisioned",
    "ProvisionedClient",
    "certificate_chain",
    "certificate_id",
    "parse_bundle",
    "provision",
    "read_bundle",
]

CONFIGURATION_NAME = "dxlclient.config"
"""Name of a client configuration, as the official client's tools and services expect it."""

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Names that every broker certificate holds, besides the machine's own host name."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another provisioning of the same home; one takes about a second."""

_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ProvisionedClient:
    """A client of the fabric.

    Attributes:
        configuration: Its ``dxlclient.config``.
        credentials: The files that the configuration names.
    """

    configuration: Path
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What there is under a home after :func:`provision`.

    Attributes:
        home: The home, as an absolute path.
        broker: The broker's files.
        broker_id: The broker's identifier on the fabric, a lower-case UUID.
        port: The broker's port that the client configurations name.
        client: The client that programs on this machine use by default.
        service: The file transfer service's own client.
        clients: The named clients, by name: those asked for, then those of earlier calls.
        written: Files that were made or changed by this call; none if everything was good.
    """

    home: Path
    broker: Credentials
    broker_id: str
    port: int
    client: ProvisionedClient
    service: ProvisionedClient
    clients: Mapping[str, ProvisionedClient]
    written: tuple[Path, ...]


def provision(
    home: Path,
    *,
    hosts: Sequence[str] = (),
    clients: Sequence[str] = (),
    port: int | None = None,
    now: datetime | None = None,
) -> Provisioned:
    """Make or complete the certificates, keys and client configurations under a home.

    It may be called as often as one likes, also by several processes at once: what is good stays
    untouched, what is missing is made, certificates that end within a month or lack a host are
    issued anew for the key they have. A private key is never overwritten.

    Args:
        home: Directory to keep everything in; made if it is missing.
        hosts: Further names and addresses under which the broker is reached. The first one is
            written into the client configurations (otherwise, ``localhost``).
        clients: Names of further clients, each of letters, digits, ``.``, ``_`` and ``-``.
        port: The broker's port for the client configurations, 1 to 65535. By default the one that
            they have, or :data:`DEFAULT_PORT` in new ones.
        now: The present time, with its time zone; by default the clock's.

    Returns:
        Where everything is.

    Raises:
        CertificateError: A name cannot be used, or files do not belong together; the message names
            them and the way out.
        ConfigurationError: A client configuration is malformed.
        OSError: A file cannot be read or written.

    Example:
        >>> fabric = provision(Path("home"), clients=["alice"])  # doctest: +SKIP
        >>> fabric.clients["alice"].configuration  # doctest: +SKIP
        PosixPath('/…/home/clients/alice/dxlclient.config')
    """
    for name in clients:
        if not _CLIENT_NAME.fullmatch(name):
            raise CertificateError(
                f"{name!r} is no name for a client: it takes up to 64 letters, digits, '.', '_' "
                "and '-', and begins with a letter or digit"
            )
    names = [normalized_host(host) for host in hosts]
    home = home.absolute()
    make_private_directory(home / "fabric")
    try:
        with FileLock(home / "fabric" / ".lock", timeout=LOCK_TIMEOUT):
            return _complete(home, names, clients, port, now or datetime.now(UTC))
    except Timeout as error:
        reason = f"another provisioning has held it for {LOCK_TIMEOUT:.0f} seconds"
        raise CertificateError(f"{home}: {reason}; try again once it has ended") from error


def _complete(
    home: Path, hosts: Sequence[str], clients: Sequence[str], port: int | None, now: datetime
) -> Provisioned:
    """Do what :func:`provision` says, with the lock held and the names checked."""
    fabric = home / "fabric"
    pairs = KeyPairs(KeyPair(fabric / "ca.crt", fabric / "ca.key"), now)
    authority = pairs.ensure_authority()
    broker = _ensure_broker(fabric, pairs, hosts)
    broker_id = _ensure_broker_id(fabric / "broker.id", pairs)
    default = home / "client"
    address = _broker_address(broker_id, default / CONFIGURATION_NAME, hosts, port)

    def client(directory: Path, name: str) -> ProvisionedClient:
        credentials = _ensure_client(directory, name, pairs, authority)
        configuration = directory / CONFIGURATION_NAME
        if write_client_configuration(configuration, credentials, address):
            pairs.written.append(configuration)
        return ProvisionedClient(configuration, credentials)

    everyone = dict.fromkeys((*clients, *_existing_clients(home / "clients")))
    return Provisioned(
        home=home,
        broker=broker,
        broker_id=broker_id,
        port=address.port,
        client=client(default, "dxlft client"),
        service=client(home / "service", "dxlft service"),
        clients={name: client(home / "clients" / name, name) for name in everyone},
        written=tuple(pairs.written),
    )


def _ensure_broker(fabric: Path, pairs: KeyPairs, hosts: Sequence[str]) -> Credentials:
    pair = KeyPair(fabric / "broker.crt", fabric / "broker.key")
    known = hosts_of(read_bundle(pair.certificate)[0]) if pair.certificate.exists() else ()
    wanted = tuple(dict.fromkeys((*known, *LOOPBACK_HOSTS, *_machine_name(), *hosts)))

    def issue(authority: Authority, key: rsa.RSAPrivateKey) -> x509.Certificate:
        return issue_broker(authority, key, hosts=wanted, now=pairs.now)

    pairs.ensure(pair, issue, lambda certificate: set(hosts_of(certificate)) >= set(wanted))
    return Credentials(pairs.authority.certificate, pair.certificate, pair.private_key)


def _ensure_broker_id(path: Path, pairs: KeyPairs) -> str:
    if not path.exists():
        pairs.write(path, f"{uuid.uuid4()}\n".encode())
    text = path.read_text(encoding="ascii", errors="replace").strip()
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        reason = "holds no UUID; restore it, or remove it to have one made"
        raise CertificateError(f"{path} {reason}") from error


def _ensure_client(
    directory: Path, name: str, pairs: KeyPairs, authority: x509.Certificate
) -> Credentials:
    make_private_directory(directory)
    pair = KeyPair(directory / "client.crt", directory / "client.key")

    def issue(authority: Authority, key: rsa.RSAPrivateKey) -> x509.Certificate:
        return issue_client(authority, key, name=name, now=pairs.now)

    pairs.ensure(pair, issue, lambda _: True)
    bundle = directory / "ca-bundle.crt"
    known = read_bundle(bundle) if bundle.exists() else []
    if authority not in known:
        # Older certificates of this CA go; other CAs that somebody added stay.
        others = [each for each in known if each.subject != authority.subject]
        pairs.write(bundle, pem_text([authority, *others]))
    return Credentials(bundle, pair.certificate, pair.private_key)


def _existing_clients(directory: Path) -> list[str]:
    """Return the clients of earlier calls whose files are still here and not handed over."""
    if not directory.is_dir():
        return []
    return sorted(key.parent.name for key in directory.glob("*/client.key"))


def _broker_address(
    broker_id: str, configuration: Path, hosts: Sequence[str], port: int | None
) -> BrokerAddress:
    """Return what the client configurations say: what is asked for, else what they say now."""
    present = configured_broker(configuration) if configuration.exists() else None
    port = port or (present.port if present else DEFAULT_PORT)
    name, address = LOOPBACK_HOSTS[:2]
    if hosts and hosts[0] not in (name, address):
        return BrokerAddress(broker_id, hosts[0], port)
    if present and not hosts:
        return BrokerAddress(broker_id, present.host, port, present.ip_address)
    return BrokerAddress(broker_id, name, port, address)


def _machine_name() -> tuple[str, ...]:
    try:
        return (normalized_host(socket.gethostname()),)
    except CertificateError:
        return ()  # such a name cannot be used by clients, either
