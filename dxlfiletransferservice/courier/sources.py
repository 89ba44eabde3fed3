"""The files of a manifest as they are on this machine, when they are sent."""

import hashlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from dxlfiletransferclient.control.constants import (
    TRANSFER_FLAG_READ,
    TRANSFER_FLAG_WRITE_MTIME,
    TRANSFER_FLAG_WRITE_ONLY_NEWER,
)
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import FileTransferError, SourceChangedError, brief
from dxlfiletransferclient.sending.source import Content, FileSource, read_small
from dxlfiletransferservice.courier.contents import ZeroContent
from dxlfiletransferservice.courier.opening import open_allowed
from dxlfiletransferservice.courier.seams import ManifestFile, SourceGuard, TransferPlan

_ID_DIGITS: Final = 40
"""Hex digits of an id: 160 bits, which no two files share by accident."""

_NS_PER_US: Final = 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened to be sent.

    Attributes:
        content: What is sent.
        modified_ns: The modification time to tell, in nanoseconds since 1970; ``None`` for none.
        file_id: The id under which it is sent: the same after a restart, another one for another
            version of the file.
    """

    content: Content
    modified_ns: int | None
    file_id: str


@dataclass(frozen=True, slots=True)
class Small:
    """A small file that was read whole.

    Attributes:
        content: Its bytes.
        modified_ns: As in :class:`Opened`.
    """

    content: bytes
    modified_ns: int | None


class Sources:
    """Opens the files of a transfer, as far as they may be read.

    Args:
        plan: The transfer.
    """

    def __init__(self, plan: TransferPlan) -> None:
        self._transfer_id = plan.id
        self._opener = partial(open_allowed, guard=plan.guard)
        self._reads = bool(plan.flags & TRANSFER_FLAG_READ)
        # A receiver that compares times needs them, whether it sets them or not.
        times = TRANSFER_FLAG_WRITE_MTIME | TRANSFER_FLAG_WRITE_ONLY_NEWER
        self._with_time = bool(plan.flags & times)

    def confine(self, guard: SourceGuard) -> None:
        """Say anew what may be read, from the next file on."""
        self._opener = partial(open_allowed, guard=guard)

    def open(self, file: ManifestFile) -> Opened:
        """Open a file.

        Raises:
            CommandError: It must not be read.
            SourceChangedError: It has not the size any more that it had for the manifest.
            OSError: It cannot be read.
        """
        if not self._reads:
            identity = (file.modified_us,)
            modified = self._time_of(file)
            return Opened(ZeroContent(file.size), modified, self._id_of(file, identity))
        source = FileSource(file.src, opener=self._opener)
        if source.size != file.size:
            source.close()
            raise _other_size(file, source.size)
        modified_ns = source.modified_ns if self._with_time else None
        file_id = self._id_of(file, (*source.identity, source.modified_ns))
        return Opened(source, modified_ns, file_id)

    def read(self, file: ManifestFile) -> Small:
        """Read a small file whole.

        Raises:
            CommandError: It must not be read.
            SourceChangedError: It has not the size any more that it had for the manifest, or
                changes meanwhile.
            OSError: It cannot be read.
        """
        if not self._reads:
            return Small(bytes(file.size), self._time_of(file))
        found = read_small(file.src, file.size, opener=self._opener)
        if found is None:
            raise _other_size(file, None)
        if len(found.content) != file.size:
            raise _other_size(file, len(found.content))
        return Small(found.content, found.modified_ns if self._with_time else None)

    def _time_of(self, file: ManifestFile) -> int | None:
        if file.modified_us is None or not self._with_time:
            return None
        return file.modified_us * _NS_PER_US

    def _id_of(self, file: ManifestFile, identity: Iterable[object]) -> str:
        parts = (
            socket.gethostname(),
            self._transfer_id,
            file.number,
            file.src,
            file.dest,
            file.size,
            *identity,
        )
        text = "\0".join(str(part) for part in parts)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_ID_DIGITS]


def described(file: ManifestFile, error: BaseException) -> str:
    """Return why a file could not be sent, by its name at the destination.

    Where it is on this machine is nothing that everybody is to know who may see the transfer.
    """
    if isinstance(error, CommandError | FileTransferError):
        text = str(error)
    else:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    shown = brief(file.dest)
    text = text.replace(file.src, file.dest) if file.src else text
    return text if file.dest in text else f"{shown}: {text}"


def _other_size(file: ManifestFile, size: int | None) -> SourceChangedError:
    now = "more" if size is None else f"{size}"
    return SourceChangedError(
        f"{brief(file.dest)} had {file.size} bytes when the manifest was made, and has {now} now"
    )
