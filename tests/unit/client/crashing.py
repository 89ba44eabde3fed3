"""Crashes of a machine: what was not flushed is there afterwards, or in parts, or not at all."""

import itertools
import os
import random
import shutil
from pathlib import Path

import pytest

from dxlfiletransferclient.storage import journalfile, partfile


class Disk:
    """Remembers what was flushed, by watching the store's flushes of files under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._flushed: dict[int, bytes] = {}
        self.flushes = 0
        real = journalfile.sync_data

        def sync(descriptor: int) -> None:
            real(descriptor)
            status = os.fstat(descriptor)
            self._flushed[status.st_ino] = os.pread(descriptor, status.st_size, 0)
            self.flushes += 1

        monkeypatch.setattr(journalfile, "sync_data", sync)
        monkeypatch.setattr(partfile, "sync_data", sync)

    def begun(self, storage: Path, file_id: str) -> None:
        """Forget what was flushed of files whose inodes a new file has got."""
        for path in (storage / ".workdir").glob(f"dxlft-{file_id}.*"):
            self._flushed.pop(path.stat().st_ino, None)

    def crash(self, storage: Path, copy: Path, dice: random.Random) -> None:
        """Copy a storage directory, with the working directory in it, as a crash leaves it."""
        shutil.copytree(storage, copy)
        for path in (storage / ".workdir").iterdir():
            now, before = path.read_bytes(), self._flushed.get(path.stat().st_ino, b"")
            left = copy / ".workdir" / path.name
            if path.suffix == ".part":
                left.write_bytes(_mixed(before, now, dice))
            elif path.suffix == ".journal":
                left.write_bytes(_torn(before, now, dice))
            # What came through the crash is on the disk.
            self._flushed[left.stat().st_ino] = left.read_bytes()


def _mixed(before: bytes, now: bytes, dice: random.Random) -> bytes:
    """Return a file of which some bytes came to the disk and others did not."""
    if dice.random() < 0.2:
        return now
    length = dice.choice([len(before), len(now)])
    old, new = before.ljust(length, b"\0"), now.ljust(length, b"\0")
    return bytes(dice.choice(pair) for pair in zip(old, new, strict=False))


def _torn(before: bytes, now: bytes, dice: random.Random) -> bytes:
    """Return a journal of which what was flushed is there, and some of the rest."""
    pairs = zip(before, now, strict=False)
    flushed = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    kept = dice.choice([flushed, len(now), dice.randint(flushed, len(now))])
    # A tail that was cut off, and that not durably, may show up again.
    tail = dice.choice([b"", bytes(30), dice.randbytes(30), before[kept:]])
    return now[:kept] + tail
