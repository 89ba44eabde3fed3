"""The name of a store, by which clients find it again."""

import logging
import os
import uuid
from typing import Final

from dxlfiletransferclient.storage.directory import Directory

logger = logging.getLogger(__name__)

IDENTITY_NAME: Final = ".store-id"
"""File in the working directory with the name of the store; it stays there."""

_NEW: Final = ".store-id.new"
_LENGTH: Final = 64
"""Bytes that are read: more than a UUID has."""


def store_id_in(directory: Directory) -> str:
    """Return the name of the store whose working directory this is; give it one if it has none.

    Raises:
        OSError: If it can be neither read nor made.
    """
    try:
        found = _read(directory)
    except FileNotFoundError:
        found = None
    if found is None:
        found = str(uuid.uuid4())
        _write(directory, found)
        logger.info("The store is called %s from now on", found)
    return found


def _read(directory: Directory) -> str | None:
    descriptor = directory.open_file(IDENTITY_NAME, os.O_RDONLY)
    try:
        text = os.read(descriptor, _LENGTH).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
    try:
        return str(uuid.UUID(text))
    except ValueError:
        logger.warning("%s in the working directory is damaged and is replaced", IDENTITY_NAME)
        return None


def _write(directory: Directory, store_id: str) -> None:
    descriptor = directory.open_file(_NEW, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, f"{store_id}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    directory.move(_NEW, directory, IDENTITY_NAME)
    directory.sync()
