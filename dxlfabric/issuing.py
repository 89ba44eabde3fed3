"""What stands in the X.509 certificates of a small fabric, and when one has to be issued anew.

Nothing here reads a file or a clock: keys and the time are passed in. Keys are RSA, because the
official client takes part in no other key exchange than ``AES128-SHA256``'s, which needs an RSA
key on the broker's side.
"""

import contextlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dxlfabric.errors import CertificateError

KEY_BITS = 2048
"""Bits of every key. Fewer are refused by today's TLS libraries; with 3072, the broker's signature
in each handshake takes several times as long (2.7 ms against 0.4 ms, measured with OpenSSL 3)."""

AUTHORITY_LIFETIME = timedelta(days=3650)
"""How long a CA certificate is good: ten years, so that clients seldom need a new bundle."""

LIFETIME = timedelta(days=730)
"""How long a broker's or client's certificate is good: two years, under the 825 days that some
TLS libraries take at most."""

RENEWAL_MARGIN = timedelta(days=30)
"""A certificate with less than this left is issued anew; long enough for a monthly routine."""

BACKDATING = timedelta(days=1)
"""How far in the past a certificate begins, so that a host with a slow clock takes it at once."""

_PUBLIC_EXPONENT = 65537
_KEY_ID_DIGITS = 16
_LARGEST_NAME = 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that can issue: its certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


def new_key() -> rsa.RSAPrivateKey:
    """Return a fresh private key of :data:`KEY_BITS` bits."""
    return rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=KEY_BITS)


def normalized_host(host: str) -> str:
    """Return a host name or IP address as it stands in certificates.

    Args:
        host: A DNS name (international ones are turned into their ASCII form), an IPv4 address or
            an IPv6 address with or without brackets.

    Raises:
        CertificateError: It is neither a name nor an address.
    """
    bare = host.strip().removeprefix("[").removesuffix("]")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(bare))
    # It is no address, so it has to be a name.
    try:
        name = bare.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        name = ""
    if len(name) > _LARGEST_NAME or not all(map(_LABEL.fullmatch, name.split("."))):
        raise CertificateError(f"{host!r} is neither a host name nor an IP address")
    return name


def issue_authority(
    key: rsa.RSAPrivateKey, *, now: datetime, name: x509.Name | None = None
) -> x509.Certificate:
    """Return a self-signed CA certificate that may sign clients and brokers, but no further CA.

    Args:
        key: The CA's key.
        now: The time of issue, with its time zone.
        name: The CA's name. By default one that follows from the key, so that two CAs differ by
            name, and that a certificate issued anew for a key still vouches for the older ones.
    """
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = name or common_name(f"dxlft CA {key_id.digest.hex()[:_KEY_ID_DIGITS]}")
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(key.public_key(), name, name, now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def issue_broker(
    authority: Authority, key: rsa.RSAPrivateKey, *, hosts: Sequence[str], now: datetime
) -> x509.Certificate:
    """Return a broker's certificate.

    Args:
        authority: Who signs.
        key: The broker's own key.
        hosts: Normalized host names and addresses under which clients reach the broker.
        now: The time of issue, with its time zone.
    """
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    purposes = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = _end_entity(authority, key, common_name("dxlft broker"), purposes, now)
    return builder.add_extension(names, critical=False).sign(authority.key, hashes.SHA256())


def issue_client(
    authority: Authority, key: rsa.RSAPrivateKey, *, name: str, now: datetime
) -> x509.Certificate:
    """Return a client's certificate with ``name`` (at most 64 characters) as its common name."""
    purposes = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    builder = _end_entity(authority, key, common_name(name), purposes, now)
    return builder.sign(authority.key, hashes.SHA256())


def common_name(name: str) -> x509.Name:
    """Return a distinguished name that holds nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def needs_renewal(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether a certificate is not good yet, or ends within :data:`RENEWAL_MARGIN`."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < begin or now + RENEWAL_MARGIN > end


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names and addresses that a broker's certificate was issued for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = extension.value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def belongs_to_key(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> bool:
    """Tell whether a certificate was made for this private key."""
    return certificate.public_key() == key.public_key()


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether ``issuer`` is named in ``certificate`` and has signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _end_entity(
    authority: Authority,
    key: rsa.RSAPrivateKey,
    subject: x509.Name,
    purposes: Sequence[x509.ObjectIdentifier],
    now: datetime,
) -> x509.CertificateBuilder:
    # Key encipherment is what an RSA key exchange needs; signatures are what the others need.
    usage = _key_usage(digital_signature=True, key_encipherment=True)
    return (
        _builder(key.public_key(), subject, authority.certificate.subject, now, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(_issuer_key_id(authority), critical=False)
    )


def _issuer_key_id(authority: Authority) -> x509.AuthorityKeyIdentifier:
    # A CA that was made elsewhere may have an identifier that does not follow from its key.
    try:
        extensions = authority.certificate.extensions
        key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _builder(
    key: rsa.RSAPublicKey,
    subject: x509.Name,
    issuer: x509.Name,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATING)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
