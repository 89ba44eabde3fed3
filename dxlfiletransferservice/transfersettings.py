"""Settings of version 2: how files are taken, how much of them, and what clients may do."""

from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from dxlfiletransferclient.storage.checkpoints import CHECKPOINT_BYTES, CHECKPOINT_SECONDS
from dxlfiletransferclient.storage.grants import WINDOW_EACH, WINDOW_TOTAL
from dxlfiletransferclient.storage.local import StoreOptions
from dxlfiletransferclient.storage.quotas import QuotaLimits
from dxlfiletransferservice.inifile import Section

MEGABYTE: Final = 1 << 20
"""Bytes in a megabyte of the settings file, whose numbers are those of memory and not of disks."""

MAX_CHECKPOINT_SECONDS: Final = 3600.0
"""An hour; a longer time is a typing error."""

MAX_WINDOW_MEGABYTES: Final = 100_000
"""100 GB: above this, memory ends before the window does."""

MIN_SEGMENT_BYTES: Final = 1024
"""Below this, what comes with each segment takes more room than its content."""

MAX_MEGABYTES: Final = 1_000_000_000_000
"""An exabyte stands for "no limit"; more is a typing error."""

TRANSFER_NAMES: Final = (
    "checkpointMegabytes",
    "checkpointSeconds",
    "windowMegabytes",
    "segmentBytes",
)
"""The settings in the section ``[Transfers]``."""

QUOTA_NAMES: Final = ("totalMegabytes", "fileMegabytes", "keepFreeMegabytes")
"""The settings in the section ``[Quota]``."""

ACCESS_NAMES: Final = ("retrieve", "list", "remove", "symbolicLinks")
"""The settings in the section ``[Access]``."""

_ALWAYS_OFFERED: Final = STORE_VERBS - {Verb.RETRIEVE, Verb.LIST, Verb.STAT, Verb.REMOVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettings:
    """How files are taken.

    Attributes:
        checkpoint_bytes: Bytes of a file after which what has come is made safe.
        checkpoint_seconds: Seconds after which that is done in any case.
        window: Bytes that all clients together may have under way.
        segment_size: Largest segment, in bytes.
    """

    checkpoint_bytes: int = CHECKPOINT_BYTES
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    window: int = WINDOW_TOTAL
    segment_size: int = SEGMENT_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """What clients may do beside storing files.

    Attributes:
        retrieve: Whether they may get files.
        list: Whether they may see which files there are.
        remove: Whether they may remove files.
        symbolic_links: Whether they may make symbolic links, and are given files behind links.
    """

    retrieve: bool = True
    list: bool = True
    remove: bool = True
    symbolic_links: bool = False

    @property
    def verbs(self) -> frozenset[Verb]:
        """What is offered; who may either get or list files may ask about a single one."""
        switched = {
            Verb.RETRIEVE: self.retrieve,
            Verb.LIST: self.list,
            Verb.STAT: self.retrieve or self.list,
            Verb.REMOVE: self.remove,
        }
        return _ALWAYS_OFFERED | {verb for verb, offered in switched.items() if offered}


def parse_transfers(section: Section) -> TransferSettings:
    """Return what the section ``[Transfers]`` says.

    Raises:
        ConfigurationError: A value is malformed or out of range.
    """
    checkpoint = section.integer("checkpointMegabytes", CHECKPOINT_BYTES // MEGABYTE, MAX_MEGABYTES)
    window = section.integer("windowMegabytes", WINDOW_TOTAL // MEGABYTE, MAX_WINDOW_MEGABYTES)
    return TransferSettings(
        checkpoint_bytes=checkpoint * MEGABYTE,
        checkpoint_seconds=section.decimal(
            "checkpointSeconds", CHECKPOINT_SECONDS, MAX_CHECKPOINT_SECONDS
        ),
        window=window * MEGABYTE,
        segment_size=section.integer(
            "segmentBytes", SEGMENT_SIZE, SEGMENT_SIZE, minimum=MIN_SEGMENT_BYTES
        ),
    )


def parse_quota(section: Section) -> QuotaLimits:
    """Return what the section ``[Quota]`` says.

    Raises:
        ConfigurationError: A value is malformed or out of range.
    """

    def limit(setting: str) -> int | None:
        megabytes = section.optional_integer(setting, MAX_MEGABYTES)
        return None if megabytes is None else megabytes * MEGABYTE

    keep_free = section.integer("keepFreeMegabytes", 0, MAX_MEGABYTES, minimum=0)
    return QuotaLimits(
        total_bytes=limit("totalMegabytes"),
        file_bytes=limit("fileMegabytes"),
        keep_free_bytes=keep_free * MEGABYTE,
    )


def parse_access(section: Section) -> AccessSettings:
    """Return what the section ``[Access]`` says.

    Raises:
        ConfigurationError: A value is neither yes nor no.
    """
    return AccessSettings(
        retrieve=section.yes_or_no("retrieve", default=True),
        list=section.yes_or_no("list", default=True),
        remove=section.yes_or_no("remove", default=True),
        symbolic_links=section.yes_or_no("symbolicLinks", default=False),
    )


def store_options(
    transfers: TransferSettings, quota: QuotaLimits, access: AccessSettings, lifetime: float
) -> StoreOptions:
    """Return the options for a store that does as the settings say.

    Args:
        transfers: How files are taken.
        quota: How much of them.
        access: What clients may do.
        lifetime: Seconds after which a file that nobody goes on with is given up.
    """
    return StoreOptions(
        partial_lifetime=lifetime,
        checkpoint_bytes=transfers.checkpoint_bytes,
        checkpoint_seconds=transfers.checkpoint_seconds,
        window_total=transfers.window,
        window_each=min(WINDOW_EACH, transfers.window),
        quota=quota,
        links=access.symbolic_links,
        segment_size=transfers.segment_size,
    )
