"""Sends one file with progress, for the commands that do so."""

import errno
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient import FileSendSegmentResult, FileTransferClient, HashType
from dxlfiletransferservice.command.console import display, rate, shown

SEGMENT_SIZE: Final = 900 * 1024
"""Bytes per segment: version 1 sends one per round trip, so large ones are fast; with its envelope
one still stays well below the 1 MiB that brokers take. Each is in memory a few times on its way."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that was sent and stored.

    Attributes:
        name: Its name on the server.
        size: Bytes in all.
        sha256: SHA-256 of what was stored, in hex.
        seconds: How long it took.
    """

    name: str
    size: int
    sha256: str
    seconds: float

    def __str__(self) -> str:
        speed = rate(self.size, self.seconds)
        return f"{shown(self.name)}: {self.size:,} bytes, SHA-256 {self.sha256}, {speed}"


def fault_of(path: Path) -> OSError | None:
    """Return why a file cannot be sent, as far as opening it tells; None if it can be."""
    if path.is_dir():
        return IsADirectoryError(errno.EISDIR, "is a directory; name the files in it", str(path))
    try:
        path.open("rb").close()
    except OSError as error:
        return error
    return None


def send_file(
    client: FileTransferClient, path: Path, name: str, *, segment_size: int = SEGMENT_SIZE
) -> SentFile:
    """Send a file and show how far it is.

    Args:
        client: A connected client.
        path: The file.
        name: Its name on the server.
        segment_size: Bytes per segment.

    Raises:
        Exception: What ``FileTransferClient.send_file_request`` raises.
    """
    size = path.stat().st_size
    began = time.monotonic()
    with display(shown(name), size) as shows:

        def acknowledged(segment: FileSendSegmentResult) -> None:
            shows.update(min(segment.segments_received * segment_size, size))

        result = client.send_file_request(path, name, segment_size, acknowledged)
    seconds = time.monotonic() - began
    return SentFile(name, result.size, result.hashes[HashType.SHA256], seconds)
