"""What programs are told of a transfer."""

from typing import Any, Final

from dxlfiletransferclient.control.constants import BLOCK_SIZE
from dxlfiletransferservice.control.principals import owner_fields
from dxlfiletransferservice.courier.seams import Progress, Status

PROGRESS_COLUMNS: Final = tuple(Progress.__dataclass_fields__)
"""The columns that say how far a transfer is; they are named as in :class:`Progress`."""


def progress_of(row: Any) -> Progress:
    """Return how far a transfer is, as the database has it."""
    return Progress(**{name: getattr(row, name) for name in PROGRESS_COLUMNS})


def transfer_structure(row: Any, progress: Progress, now: int) -> dict[str, Any]:
    """Return the structure of a transfer.

    Args:
        row: Its row.
        progress: How far it is.
        now: The time of this reading, in microseconds since 1970.
    """
    status = Status(row.status)
    return {
        "transferId": str(row.id),
        "destinationId": str(row.destination_id),
        "manifestId": str(row.manifest_id),
        "destinationPath": row.destination_path,
        "status": status.value,
        "processing": status.active,
        "errorMessage": row.error_message,
        **_options(row),
        **_counters(row, progress),
        "requestTime": row.request_time,
        "queueTime": row.queue_time,
        "startTime": row.start_time,
        "endTime": row.end_time,
        "snapshotTime": now,
        "userData": dict(row.user_data),
        **owner_fields(row),
    }


def blocks(count: int) -> int:
    """Return how many blocks some bytes take.

    Example:
        >>> blocks(858_703_405)
        3354311
    """
    return -(-count // BLOCK_SIZE)


def whole(seconds: float | None) -> float | None:
    """Return a number as it was most likely given: ``30`` and not ``30.0``."""
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds


def _options(row: Any) -> dict[str, Any]:
    return {
        "priority": row.priority,
        "priorityLane": row.lane,
        "transferFlags": row.flags,
        "checkpointFrequencySeconds": whole(row.checkpoint_seconds),
        "sendRateMax": row.send_rate_max,
        "overwriteMode": row.overwrite_mode,
        "minCipher": row.min_cipher,
        "fileTimeResolutionMicroseconds": row.time_resolution_us,
        "timeoutSeconds": whole(row.timeout_seconds),
        "userName": row.user_name,
    }


def _counters(row: Any, progress: Progress) -> dict[str, int]:
    return {
        "blockSize": BLOCK_SIZE,
        "totalFiles": row.total_files,
        "totalBytes": row.total_bytes,
        "totalBlocks": blocks(row.total_bytes),
        "filesSent": progress.files_sent,
        "filesFailed": progress.files_failed,
        "blocksSent": blocks(progress.bytes_sent),
        "blocksAcked": blocks(progress.bytes_acked),
        "blocksRetransmitted": blocks(progress.bytes_retransmitted),
        "bytesSent": progress.bytes_sent,
        "bytesRecv": progress.bytes_received,
        "packetsSent": progress.packets_sent,
        "packetsRecv": progress.packets_received,
    }
