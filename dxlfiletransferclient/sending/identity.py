"""Ids of files under way: the same for the same file, so that the same call goes on with it."""

import hashlib
import os
import socket
from collections.abc import Iterable
from typing import Final

from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.sending.naming import Source
from dxlfiletransferclient.sending.source import FileSource

_ID_DIGITS: Final = 40
"""Hex digits of an id: 160 bits, which no two files share by accident."""


def file_id_of(
    source: FileSource, name: str, *, overwrite: Overwrite, modified_ns: int | None
) -> str:
    """Return the id under which a file is sent.

    Another file, another version of it, or another way of sending it has another id.

    Args:
        source: The file.
        name: Its name on the service.
        overwrite: What becomes of an older file there.
        modified_ns: The modification time that it gets there.
    """
    parts = (
        socket.gethostname(),
        os.path.abspath(source.path),  # noqa: PTH100 - Path.absolute leaves ".." in
        *source.identity,
        source.size,
        source.modified_ns,
        source.executable,
        name,
        overwrite,
        modified_ns,
    )
    return _digest(parts)[:_ID_DIGITS]


def call_key(sources: Iterable[Source]) -> str:
    """Return what tells one call from another, to choose the same service instance again."""
    paths = [os.path.abspath(source.path) for source in sources]  # noqa: PTH100
    return _digest((socket.gethostname(), *paths))


def _digest(parts: Iterable[object]) -> str:
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
