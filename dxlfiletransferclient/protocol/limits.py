"""Sizes and counts that both sides of version 2 keep to."""

from typing import Final

from dxlfiletransferclient.constants import MAX_SEGMENT_SIZE

SEGMENT_SIZE: Final = MAX_SEGMENT_SIZE
"""Bytes of file content in one message, unless a service or caller wants fewer.

Each message costs every process on its way about the same, however small it is, so the largest that
brokers take is the fastest. It is held in memory some times by sender, broker and service.
"""

MAX_PAYLOAD: Final = MAX_SEGMENT_SIZE
"""Bytes of the payload of any message, whatever it holds."""

MAX_FILE_SIZE: Final = 2**63 - 1
"""Bytes of a file at most: what file systems count with. More would fail there and not here."""

MAX_RANGES: Final = 256
"""Byte ranges that one field lists at most.

Beyond, the first ones are told: what is not told to be there may be sent again and does no harm.
256 ranges take up to 10 KB in a message.
"""

MAX_BATCH_ENTRIES: Final = 1000
"""Files in one batch: more would not fit into a message of one megabyte with their results."""

MAX_PAGE_ENTRIES: Final = 1000
"""Entries in one page of a list; with names of the usual length, some hundred kilobytes."""

MAX_REASON_LENGTH: Final = 300
"""Characters of a reason or error text that are passed on."""
