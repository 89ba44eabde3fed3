"""A working directory at a time of the test's own."""

from pathlib import Path

from dxlfiletransferclient.storage.expiry import Expiry
from dxlfiletransferclient.storage.working import WorkingDirectory

NOW = 1_000_000.0
LIFETIME = 100.0


def opened(path: Path) -> WorkingDirectory:
    """Open a working directory at ``NOW``."""
    return WorkingDirectory(path, expiry=Expiry(LIFETIME), clock=lambda: NOW)


def begun(working: WorkingDirectory, payload: bytes = b"abc") -> str:
    """Begin a file with one segment; return its id."""
    with working.begin() as file:
        file.append(payload, NOW)
        return file.file_id
