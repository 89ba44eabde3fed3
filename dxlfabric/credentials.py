"""The files with which one end of a connection proves who it is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files, all in PEM form, for one end of a connection.

    Attributes:
        authority: Certificates of the CAs whose signature is taken from the other end.
        certificate: The certificate that is shown to the other end.
        private_key: The key that belongs to it, not encrypted.
    """

    authority: Path
    certificate: Path
    private_key: Path
