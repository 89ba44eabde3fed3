"""What is told of transfers that others send here, and of those who send them. No I/O."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, Select, func, select

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferservice.control.tables import receptions

RECEIVING: Final = "receiving"
"""A transfer that is being received, or may be gone on with."""

COMPLETE: Final = "complete"
"""One of which everything was stored."""

ERROR: Final = "error"
"""One that has failed."""

MICROSECONDS: Final = 1_000_000
"""Microseconds in a second."""

_KILOBITS: Final = 8 / 1000
"""Kilobits in a byte."""


def structure_of(row: Row[Any], fresh: Mapping[str, Any]) -> dict[str, Any]:
    """Return a receive-transfer structure.

    Args:
        row: The row of the transfer.
        fresh: Columns that are known better than the row has them.
    """
    columns = {**row._asdict(), **fresh}
    return {
        "receptionId": str(row.id),
        "transferId": row.transfer_id,
        "status": columns["status"],
        "errorMessage": row.error_message,
        "totalSize": row.total_size,
        "bytesReceived": columns["bytes_received"],
        "destinationPath": row.destination_path,
        "userName": row.user,
        "sourceIP": row.source_ip,
        "sourcePort": row.source_port,
        "sourcePublicKey": row.sender_key,
        "startTime": row.created,
        "lastRecvTime": columns["last_receive"],
        "lastSendTime": columns["last_send"],
        "lastErrorTime": columns["last_error"],
    }


def senders_query(limit: int) -> Select[Any]:
    """Return the query for what is known of senders, those first that were heard of last."""
    columns = receptions.c
    last = func.coalesce(columns.last_receive, columns.created)

    def count(status: str) -> Any:
        return func.count().filter(columns.status == status)

    return (
        select(
            columns.sender_key,
            func.max(columns.source_ip).label("source_ip"),
            func.max(columns.source_port).label("source_port"),
            count(RECEIVING).label("receiving"),
            count(COMPLETE).label("complete"),
            count(ERROR).label("error"),
            func.sum(columns.bytes_received).label("bytes"),
            func.sum(last - columns.created).label("time"),
        )
        .group_by(columns.sender_key)
        .order_by(func.max(last).desc())
        .limit(max(1, min(limit, MAX_PAGE)))
    )


def source_of(row: Row[Any], *, client_id: str | None, active: int, rate: float) -> dict[str, Any]:
    """Return a source structure.

    Args:
        row: A row of :func:`senders_query`.
        client_id: Client of the fabric that the sender has a session from; ``None`` if it has none.
        active: Transfers of which there are sessions.
        rate: Bytes per second that come from it at the moment.
    """
    seconds = float(row.time) / MICROSECONDS
    return {
        "sourceIP": client_id or row.source_ip,
        "sourcePort": row.source_port,
        "activeTransferCount": active,
        "inactiveTransferCount": max(0, row.receiving - active),
        "completeTransferCount": row.complete,
        "errorTransferCount": row.error,
        "aveRecvRate": int(row.bytes) / seconds * _KILOBITS if seconds > 0 else 0.0,
        "aveRecvRateWindow": rate * _KILOBITS,
        "destinationPublicKey": row.sender_key,
        "encryptedConnectionState": "disconnected" if client_id is None else "connected",
        "encryptionEnabled": True,
    }
