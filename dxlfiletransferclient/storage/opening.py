"""Begins files under way, and goes on with those that a former process left."""

import logging

from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.storage import recovery
from dxlfiletransferclient.storage.home import Home
from dxlfiletransferclient.storage.journal import History, Metadata, Writer
from dxlfiletransferclient.storage.partial import Partial
from dxlfiletransferclient.storage.partialnames import journal_name, part_name, remove_one
from dxlfiletransferclient.storage.recovery import Recovered

logger = logging.getLogger(__name__)


def create(home: Home, file_id: str, metadata: Metadata) -> Partial:
    """Begin a file.

    Args:
        home: Where it is to live.
        file_id: Its id.
        metadata: What it is to become.

    Raises:
        FileExistsError: If there is one with this id.
        OSError: If it cannot be made; nothing of it is left then.
    """
    made: list[str] = []
    try:
        for name in (journal_name(file_id), part_name(file_id)):
            home.descriptors.create(name)
            made.append(name)
        file = Partial(home, file_id, Recovered(metadata, History(), Writer(), IntervalSet()))
        file.begin()
    except BaseException:
        for name in made:
            home.descriptors.forget(name)
            home.directory.unlink(name)
        raise
    return file


def reopen(home: Home, file_id: str) -> Partial:
    """Go on with a file that a former process left.

    Args:
        home: Where it lives.
        file_id: Its id.

    Raises:
        NoHistoryError: If too little is left of it.
        OSError: If it cannot be read.
    """
    with home.descriptors.use(journal_name(file_id)) as journal:
        history, writer = recovery.history_of(journal)
    if history.stored is not None:
        # Where an older file was kept, a crash may have left the bytes.
        remove_one(home.directory, part_name(file_id))
        return Partial(home, file_id, recovery.recovered(None, history, writer))
    try:
        with home.descriptors.use(part_name(file_id)) as part:
            found = recovery.recovered(part, history, writer)
    except FileNotFoundError as error:
        if history.intent is None:
            raise recovery.NoHistoryError from error
        found = recovery.recovered(None, history, writer)
        return Partial(home, file_id, found, moved=True)
    logger.info("Going on with file %s: %d bytes are there", file_id, found.held.total)
    return Partial(home, file_id, found)
