"""How far a transfer is in its manifest. No input or output."""

from dataclasses import dataclass
from typing import Final

from dxlfiletransferservice.courier.seams import ManifestFile, Progress

MOST_AHEAD: Final = 10_000
"""Files after the first one that is not through which may be through already: a restarted server
sends them once more. As long as that first one is sent, a line is busy anyway."""

MAX_TEXT: Final = 500
"""Characters of the first failure that are kept."""


@dataclass(frozen=True, slots=True)
class _Through:
    size: int
    stored: bool


class Position:
    """Counts files that are through, in the order of the manifest and out of it.

    What it tells is about those from the first on without a gap, so that it is right for whoever
    goes on there; only of bytes it tells all.

    Args:
        progress: How far the transfer is.
    """

    def __init__(self, progress: Progress) -> None:
        self.first = progress.position
        self.files_sent = progress.files_sent
        self.files_failed = progress.files_failed
        self.first_failure = progress.first_failure
        self.bytes_through = progress.bytes_through
        self._ahead: dict[int, _Through] = {}
        self._bytes_ahead = 0

    @property
    def bytes_acked(self) -> int:
        """Bytes of all files that are through, and were not failures."""
        return self.bytes_through + self._bytes_ahead

    def reachable(self, number: int) -> bool:
        """Whether a file is not too far ahead to be begun."""
        return number - self.first <= MOST_AHEAD

    def stored(self, file: ManifestFile) -> None:
        """Note that a file is stored, or was kept or unchanged."""
        self._bytes_ahead += file.size
        self._through(file, stored=True)

    def failed(self, file: ManifestFile, text: str) -> None:
        """Note that a file has failed, and why."""
        self.first_failure = self.first_failure or text[:MAX_TEXT]
        self._through(file, stored=False)

    def _through(self, file: ManifestFile, *, stored: bool) -> None:
        self._ahead[file.number] = _Through(file.size, stored)
        while (found := self._ahead.pop(self.first, None)) is not None:
            self.first += 1
            if found.stored:
                self.files_sent += 1
                self.bytes_through += found.size
                self._bytes_ahead -= found.size
            else:
                self.files_failed += 1
