"""Certificates as the fabric speaks of them: identifiers, chains, and bundles in PEM."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dxlfabric.errors import CertificateError
from dxlfabric.issuing import issued_by

LONGEST_CHAIN = 10
"""Certificates in a chain at most; longer ones are a mistake or a loop."""


def certificate_id(der: bytes) -> str:
    """Return the fabric's identifier of a certificate: SHA-1 of its DER form in lower-case hex.

    A DXL client's identity is this hash of its certificate. It names, and secures nothing: what is
    trusted is the certificate itself.

    Args:
        der: The certificate in DER form, as ``SSLSocket.getpeercert(True)`` returns it.
    """
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def certificate_chain(leaf_der: bytes, authorities: Iterable[bytes]) -> tuple[str, ...]:
    """Return the identifiers of a certificate and of those that vouch for it, root first.

    Args:
        leaf_der: The certificate at the end of the chain, in DER form.
        authorities: CA certificates in PEM form; each element may hold several.

    Returns:
        The identifiers, for example ``(ca, leaf)``. The chain begins where no issuer is found, so
        it holds the leaf alone if none of the authorities has signed it.

    Raises:
        CertificateError: The leaf or one of the authorities is no certificate.
    """
    candidates = [certificate for bundle in authorities for certificate in parse_bundle(bundle)]
    try:
        current = x509.load_der_x509_certificate(leaf_der)
    except ValueError as error:
        raise CertificateError(f"the peer's certificate cannot be read: {error}") from error
    chain = [current]
    while current.issuer != current.subject and len(chain) < LONGEST_CHAIN:
        issuer = next((each for each in candidates if issued_by(current, each)), None)
        if issuer is None:
            break
        chain.append(issuer)
        current = issuer
    return tuple(certificate_id(each.public_bytes(Encoding.DER)) for each in reversed(chain))


def parse_bundle(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM text, in the order they stand there; at least one.

    Raises:
        CertificateError: There is none, or one of them is broken.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError(f"no certificates in PEM form: {error}") from error


def read_bundle(path: Path) -> list[x509.Certificate]:
    """Return the certificates in a PEM file, in the order they stand there; at least one.

    Raises:
        CertificateError: The file cannot be read, holds none, or holds a broken one; the message
            names it.
    """
    try:
        return parse_bundle(path.read_bytes())
    except (OSError, CertificateError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CertificateError(f"{path}: {reason}") from error


def pem_text(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates as one PEM text, in the order given."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
