"""Tells the working directories of stores from other directories, by looking at them."""

import os

from dxlfiletransferclient.storage.layout import DEFAULT_WORKING_NAME
from dxlfiletransferclient.storage.working import LOCK_NAME

_INSIDE = f"/{DEFAULT_WORKING_NAME}/"


def is_working_directory(path: str) -> bool:
    """Whether a directory is where a store keeps files under way.

    One that has another name than the usual is not recognised.

    Args:
        path: Its path.
    """
    if os.path.basename(path) != DEFAULT_WORKING_NAME:  # noqa: PTH119 - there may be millions
        return False
    return os.path.lexists(os.path.join(path, LOCK_NAME))  # noqa: PTH118


def lies_in_working_directory(path: str) -> bool:
    """Whether something is such a directory, or lies in one.

    Args:
        path: Its path, absolute and without links.
    """
    start = 0
    whole = f"{path}/"
    while (found := whole.find(_INSIDE, start)) >= 0:
        if is_working_directory(whole[: found + len(_INSIDE) - 1]):
            return True
        start = found + 1
    return False
