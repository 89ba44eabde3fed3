"""Reads an older file bit by bit, to compare it with the one on the service."""

import hashlib
import os

from dxlfiletransferclient.receiving.call import Errand
from dxlfiletransferclient.receiving.errors import local_errors
from dxlfiletransferclient.sending.source import HASH_STEP


class OlderFile:
    """An older file under the name of a new one, being hashed.

    Args:
        errand: The new one.

    Attributes:
        sha256: Its SHA-256 in hex, once it is known.

    Raises:
        TargetError: If it cannot be opened.
        UnsafeNameError: If a link or a file is on the way to it.
    """

    def __init__(self, errand: Errand) -> None:
        self._path = errand.path
        self._digest = hashlib.sha256()
        self._descriptor = errand.target.open_existing(errand.parts)
        self.sha256: str | None = None

    def hash_some(self) -> bool:
        """Hash some more of it.

        Returns:
            Whether all of it is hashed.

        Raises:
            TargetError: If it cannot be read.
        """
        if self.sha256 is None:
            with local_errors("read", self._path):
                data = os.read(self._descriptor, HASH_STEP)
            self._digest.update(data)
            if not data:
                self.sha256 = self._digest.hexdigest()
        return self.sha256 is not None

    def close(self) -> None:
        """Let go of it; may be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
