"""A private key and its certificate as two files that have to belong together.

What is good stays as it is; what is missing or too old is made, and a key is never overwritten.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dxlfabric.chains import pem_text, read_bundle
from dxlfabric.durablefiles import PRIVATE_MODE, close_to_others, write_file
from dxlfabric.errors import CertificateError
from dxlfabric.issuing import (
    Authority,
    belongs_to_key,
    issue_authority,
    issued_by,
    needs_renewal,
    new_key,
)

Issue = Callable[[Authority, rsa.RSAPrivateKey], x509.Certificate]
"""Makes a certificate for a key."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Where a certificate and its private key lie."""

    certificate: Path
    private_key: Path

    def is_complete(self) -> bool:
        """Tell whether both files are there.

        Raises:
            CertificateError: There is a certificate, and no key.
        """
        if not self.certificate.exists():
            return False
        if not self.private_key.exists():
            raise CertificateError(
                f"{self.certificate} is there without its key {self.private_key}; restore the "
                "key, or remove the certificate to have both made anew"
            )
        return True


@dataclass(slots=True)
class KeyPairs:
    """The pairs of one home, below one CA.

    Attributes:
        authority: The CA's own pair; call :meth:`ensure_authority` first.
        now: The present time, with its time zone.
        written: The files that were made or changed.
    """

    authority: KeyPair
    now: datetime
    written: list[Path] = field(default_factory=list)

    def ensure_authority(self) -> x509.Certificate:
        """Return the CA's certificate, made or issued anew for its key where that is needed.

        The CA's key may be kept elsewhere as long as nothing has to be issued.

        Raises:
            CertificateError: Certificate and key do not belong together, or one is unreadable.
        """
        pair = self.authority
        if pair.certificate.exists() and not pair.private_key.exists():
            certificate = read_bundle(pair.certificate)[0]
            if certificate.not_valid_after_utc < self.now:
                raise CertificateError(
                    f"{pair.certificate} has expired, and {pair.private_key}, which is needed to "
                    "renew it, is missing; restore the key"
                )
            return certificate
        if not pair.is_complete():
            key = self._ensure_key(pair)
            certificate = issue_authority(key, now=self.now)
        else:
            key, certificate = read_key(pair.private_key), read_bundle(pair.certificate)[0]
            _check_key(pair, certificate, key)
            close_to_others(pair.private_key, PRIVATE_MODE)
            if not needs_renewal(certificate, self.now):
                return certificate
            certificate = issue_authority(key, name=certificate.subject, now=self.now)
        self.write(pair.certificate, pem_text([certificate]))
        return certificate

    def ensure(
        self, pair: KeyPair, issue: Issue, is_good: Callable[[x509.Certificate], bool]
    ) -> None:
        """Complete the pair of a broker or client, and issue its certificate anew if needed.

        Args:
            pair: Where it lies, in a directory that exists.
            issue: Makes the certificate.
            is_good: Whether an existing certificate can stay, its dates aside.

        Raises:
            CertificateError: Certificate, key and CA do not belong together, one is unreadable, or
                the CA's key would be needed and is not there.
        """
        authority = read_bundle(self.authority.certificate)[0]
        if pair.is_complete():
            key, certificate = read_key(pair.private_key), read_bundle(pair.certificate)[0]
            _check_key(pair, certificate, key)
            close_to_others(pair.private_key, PRIVATE_MODE)
            if not issued_by(certificate, authority):
                raise CertificateError(
                    f"{pair.certificate} was not issued by {self.authority.certificate}; restore "
                    f"the right CA, or remove {pair.certificate} to have it issued by this one"
                )
            if is_good(certificate) and not needs_renewal(certificate, self.now):
                return
        if not self.authority.private_key.exists():
            raise CertificateError(
                f"{self.authority.private_key} is missing, and needed to issue {pair.certificate}"
            )
        signer = Authority(authority, read_key(self.authority.private_key))
        key = self._ensure_key(pair)
        self.write(pair.certificate, pem_text([issue(signer, key)]))

    def write(self, path: Path, data: bytes) -> None:
        """Write a file that everybody may read, and take note of it."""
        write_file(path, data)
        self.written.append(path)

    def _ensure_key(self, pair: KeyPair) -> rsa.RSAPrivateKey:
        if pair.private_key.exists():
            close_to_others(pair.private_key, PRIVATE_MODE)
            return read_key(pair.private_key)
        key = new_key()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_file(pair.private_key, pem, mode=PRIVATE_MODE)
        self.written.append(pair.private_key)
        return key


def read_key(path: Path) -> rsa.RSAPrivateKey:
    """Return the RSA key in a PEM file.

    Raises:
        CertificateError: The file cannot be read, or holds no RSA key in clear; the message names
            it.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise CertificateError(f"{path} holds no private key in PEM form: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CertificateError(f"{path} holds a key that is not RSA, which DXL clients need")
    return key


def _check_key(pair: KeyPair, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
    if not belongs_to_key(certificate, key):
        raise CertificateError(
            f"{pair.certificate} does not belong to the key {pair.private_key}; restore the right "
            "one of the two, or remove the certificate to have one issued for this key"
        )
