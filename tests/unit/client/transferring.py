"""What tests of whole transfers over a bad bus have in common."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dxlfiletransferclient import NotConnectedError
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.sending.options import SendOptions
from dxlfiletransferclient.testing import (
    Faults,
    MemoryBus,
    MemoryStoreOptions,
)

SEGMENT = 1000
CHECKPOINT = 5 * SEGMENT
# With so many faults, a few questions in a row are lost now and then.
ENGINE = EngineOptions(connect_timeout=300, patience=300)
SEND = SendOptions(segment_size=SEGMENT, batch_below=SEGMENT // 2, engine=ENGINE)
GET = GetOptions(segment_size=SEGMENT, checkpoint_bytes=CHECKPOINT, engine=ENGINE)
OPTIONS = MemoryStoreOptions(segment_size=SEGMENT, checkpoint_bytes=CHECKPOINT, slow_answers=1)
BAD = Faults(
    lose=0.05,
    duplicate=0.05,
    reorder=0.05,
    corrupt=0.01,
    cut=0.002,
    cut_seconds=1.5,
    delay=(0.001, 0.02),
)

TO_BEGIN = 10
"""Seconds until it is clear that nobody is there; what is lost later is looked for longer."""

T = TypeVar("T")


class KilledError(BaseException):
    """The process of the client dies at this moment."""


def content_of(size: int, letter: int) -> bytes:
    """Bytes that differ from segment to segment and from letter to letter."""
    whole = b"".join(b"%d-%d;" % (letter, index) for index in range(size // 4 + 1))
    return whole[:size]


def write_file(path: Path, content: bytes, modified: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    # File systems tell times in steps of milliseconds, and tests are faster.
    os.utime(path, (modified, modified))


def files_in(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def begun(bus: MemoryBus, call: Callable[[], T]) -> T:
    """Call something, and again where there was no service or no connection to begin with."""
    while True:
        started = bus.now()
        try:
            return call()
        except (NotConnectedError, RefusedError) as error:
            gone = isinstance(error, NotConnectedError) or error.means(ErrorCode.NO_SERVICE)
            if not gone or bus.now() - started > TO_BEGIN:
                raise
        bus.run(1)
