"""The settings of the service, as ``dxlfiletransferservice.config`` gives them."""

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME
from dxlfiletransferclient.storage.local import StoreOptions
from dxlfiletransferclient.storage.quotas import QuotaLimits
from dxlfiletransferservice.inifile import Section, read_parser, refuse_unknown_names
from dxlfiletransferservice.transferserversettings import (
    TRANSFER_SERVER_NAMES,
    TransferServerSettings,
    parse_transfer_server,
)
from dxlfiletransferservice.transfersettings import (
    ACCESS_NAMES,
    QUOTA_NAMES,
    TRANSFER_NAMES,
    AccessSettings,
    TransferSettings,
    parse_access,
    parse_quota,
    parse_transfers,
    store_options,
)

DEFAULT_QUEUE_SIZE: Final = 128
"""Messages that wait in one pool; with up to 1 MiB each, a full queue costs 128 MiB of memory.

Clients of version 2 are told to have 64 MiB under way at most, all together, and those of version 1
have one message each. Beyond, nothing is lost: the service stops reading from its connection until
there is room, so the broker holds its clients back.
"""

MAX_QUEUE_SIZE: Final = 1_000_000
"""Above this, memory ends long before the queue does."""

FEWEST_THREADS: Final = 2
"""Threads of one pool by default where there is one processor: while one waits for the disk, the
other serves."""

MOST_THREADS: Final = 4
"""The same where there are many: in between, there is one for each processor.

So many segments are written to disk at the same time. More of them get into each other's way and
into each other's caches: on two processors, four threads take a twentieth more processor time for
a large file than two, and small ones take a sixth longer.
"""

MAX_THREAD_COUNT: Final = 1000
"""Above this, threads cost more than they bring."""

MAX_PARTIAL_FILE_LIFETIME_HOURS: Final = 100 * 365 * 24.0
"""A hundred years stand for "never"; a longer time is a typing error."""

MAX_TOPIC_BYTES: Final = 1024
"""Bytes of a store topic: the topic of a request takes room from the segment that it carries, and
all of it must fit into one message."""

_GENERAL: Final = "General"
_INCOMING_POOL: Final = "IncomingMessagePool"
_CALLBACK_POOL: Final = "MessageCallbackPool"
_TRANSFERS: Final = "Transfers"
_QUOTA: Final = "Quota"
_ACCESS: Final = "Access"
_TRANSFER_SERVER: Final = "TransferServer"
_POOL_NAMES: Final = ("queueSize", "threadCount")
_KNOWN_NAMES: Final = {
    _GENERAL: ("storageDir", "workingDir", "storeTopic", "partialFileLifetimeHours"),
    _TRANSFERS: TRANSFER_NAMES,
    _QUOTA: QUOTA_NAMES,
    _ACCESS: ACCESS_NAMES,
    _TRANSFER_SERVER: TRANSFER_SERVER_NAMES,
    _INCOMING_POOL: _POOL_NAMES,
    _CALLBACK_POOL: _POOL_NAMES,
}

_SECONDS_PER_HOUR: Final = 3600.0


def default_thread_count() -> int:
    """Return how many threads a pool has if nobody says so."""
    # Those that this process may use, where the system tells.
    usable = getattr(os, "sched_getaffinity", None)
    processors = len(usable(0)) if usable is not None else os.cpu_count() or 1
    return min(max(processors, FEWEST_THREADS), MOST_THREADS)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One pool of threads with its queue.

    Attributes:
        queue_size: Messages that may wait, 1 to 1,000,000. A full queue slows the connection down.
        thread_count: Threads, 1 to 1000; by default one for each processor, 2 to 4.
    """

    queue_size: int = DEFAULT_QUEUE_SIZE
    thread_count: int = field(default_factory=default_thread_count)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything that ``dxlfiletransferservice.config`` can say.

    Attributes:
        storage_dir: Directory under which files are stored. A relative path counts from the
            directory in which the process was started; a leading ``~`` is the home directory.
        working_dir: Directory of files that are still being received, or ``None`` for ``.workdir``
            in the storage directory. Same rules for the path.
        store_topic: Topic that the service takes version 1 requests on; those of version 2 begin
            with it.
        partial_file_lifetime: Seconds without a segment after which an unfinished file is removed.
        incoming: The pool that takes messages from the connection and stores the segments.
        callbacks: The pool for callbacks that are registered to run on separate threads.
        transfers: How files are taken.
        quota: How much of them.
        access: What clients may do.
        transfer_server: The transfer server, if there is to be one.
    """

    storage_dir: Path
    working_dir: Path | None = None
    store_topic: str = DEFAULT_STORE_TOPIC
    partial_file_lifetime: float = DEFAULT_LIFETIME
    incoming: PoolSettings = field(default_factory=PoolSettings)
    callbacks: PoolSettings = field(default_factory=PoolSettings)
    transfers: TransferSettings = field(default_factory=TransferSettings)
    quota: QuotaLimits = field(default_factory=QuotaLimits)
    access: AccessSettings = field(default_factory=AccessSettings)
    transfer_server: TransferServerSettings = field(default_factory=TransferServerSettings)

    @property
    def store_options(self) -> StoreOptions:
        """The options for a store that does as these settings say."""
        return store_options(self.transfers, self.quota, self.access, self.partial_file_lifetime)


def parse_settings(parser: configparser.ConfigParser, *, source: str) -> ServiceSettings:
    r"""Turn a parsed ini file into checked settings.

    Args:
        parser: What the file says.
        source: The name of the file, for error messages.

    Returns:
        The settings; those that are absent or empty have their defaults.

    Raises:
        ConfigurationError: A section or setting is unknown, the storage directory is missing, or a
            value is malformed or out of range. The message names file, section, setting and value,
            and says what is allowed.

    Example:
        >>> from dxlfiletransferservice.inifile import parse_ini
        >>> parser = parse_ini("[General]\nstorageDir = /srv/files", source="example")
        >>> parse_settings(parser, source="example").storage_dir
        PosixPath('/srv/files')
    """
    refuse_unknown_names(parser, _KNOWN_NAMES, source=source)
    general = Section(parser, _GENERAL, source)
    storage_dir = general.directory("storageDir")
    if storage_dir is None:
        raise general.error(
            "storageDir", "is required: set it to the directory under which files are stored"
        )
    working_dir = general.directory("workingDir")
    if working_dir is not None and _is_within(storage_dir, working_dir):
        raise general.error(
            "workingDir",
            f"= {brief(str(working_dir))} holds the storage directory; allowed is a directory "
            "outside of it, or one inside the storage directory",
        )
    hours = general.decimal(
        "partialFileLifetimeHours",
        DEFAULT_LIFETIME / _SECONDS_PER_HOUR,
        MAX_PARTIAL_FILE_LIFETIME_HOURS,
    )
    return ServiceSettings(
        storage_dir=storage_dir,
        working_dir=working_dir,
        store_topic=general.topic("storeTopic", DEFAULT_STORE_TOPIC, MAX_TOPIC_BYTES),
        partial_file_lifetime=hours * _SECONDS_PER_HOUR,
        incoming=_parse_pool(Section(parser, _INCOMING_POOL, source)),
        callbacks=_parse_pool(Section(parser, _CALLBACK_POOL, source)),
        transfers=parse_transfers(Section(parser, _TRANSFERS, source)),
        quota=parse_quota(Section(parser, _QUOTA, source)),
        access=parse_access(Section(parser, _ACCESS, source)),
        transfer_server=parse_transfer_server(Section(parser, _TRANSFER_SERVER, source)),
    )


def read_settings(path: Path) -> ServiceSettings:
    """Read and check a settings file.

    Args:
        path: The file.

    Returns:
        The settings.

    Raises:
        ConfigurationError: As for `read_parser` and `parse_settings`.
    """
    return parse_settings(read_parser(path), source=str(path))


def _parse_pool(section: Section) -> PoolSettings:
    return PoolSettings(
        queue_size=section.integer("queueSize", DEFAULT_QUEUE_SIZE, MAX_QUEUE_SIZE),
        thread_count=section.integer("threadCount", default_thread_count(), MAX_THREAD_COUNT),
    )


def _is_within(path: Path, directory: Path) -> bool:
    """Whether `path` is `directory` or lies below it, wherever links lead."""
    return path.resolve().is_relative_to(directory.resolve())
