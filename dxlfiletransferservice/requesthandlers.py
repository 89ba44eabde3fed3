"""Requests on the bus, answered by the file store."""

import logging
import os
from collections.abc import Callable
from typing import Final, Protocol

from dxlbootstrap.util import MessageUtils
from dxlclient.callbacks import RequestCallback
from dxlclient.client import DxlClient
from dxlclient.message import ErrorResponse, Message, Request, Response

from dxlfiletransferclient.errors import FileTransferError
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME
from dxlfiletransferclient.store import FileStoreManager, FileStoreSegmentResult
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.publictext import printable

_ERROR_CODE: Final = 0  # the only code that version 1 of the wire knows

_logger = logging.getLogger(__name__)


class SegmentStore(Protocol):
    """What the callbacks need of a store; `FileStoreManager` is one."""

    def store_segment(self, message: Message) -> FileStoreSegmentResult:
        """Store the segment that `message` carries, or raises ``ValueError`` or ``OSError``."""
        ...


class SegmentRequestCallback(RequestCallback):
    """Answers every request with what a store makes of its segment.

    Several of these, on any services and topics, may share one store. `dxlclient` calls
    `on_request` on the threads of its incoming message pool, never on its network thread: disk
    work there delays other messages only when all threads of the pool are busy.

    Args:
        dxl_client: The connected client through which answers are sent.
        store: The store, which stays open when the callback is no longer used.
        log: Where refusals are noted; several callbacks may share one.
        refuse_plain: Returns what segments are refused with at the moment, or ``None``.
    """

    def __init__(
        self,
        dxl_client: DxlClient,
        store: SegmentStore,
        *,
        log: BoundedLog | None = None,
        refuse_plain: Callable[[], RefusedError | None] | None = None,
    ) -> None:
        super().__init__()
        self._dxl_client = dxl_client
        self._store = store
        self._log = log or BoundedLog(_logger)
        self._refuse_plain = refuse_plain

    def on_request(self, request: Request) -> None:
        """Store the segment of a request and answer it.

        Nothing is raised: whatever goes wrong becomes an error response with code 0 and a short
        message, and a line in the log. Mistakes of the sender are warnings; faults of the service
        come with a traceback.

        Args:
            request: The request, its parameters in ``other_fields`` and the bytes as payload.
        """
        refusal = None if self._refuse_plain is None else self._refuse_plain()
        if refusal is not None:
            self._note(
                logging.WARNING, "Refused a segment of client %s: %s", request, refusal.message
            )
            self._send(ErrorResponse(request, _ERROR_CODE, printable(refusal.message)))
            return
        try:
            result = self._store.store_segment(request)
            response = Response(request)
            MessageUtils.dict_to_json_payload(response, result.to_dict())
        except ValueError as error:
            text = printable(str(error))
            self._note(logging.WARNING, "Refused a segment of client %s: %s", request, text)
            response = ErrorResponse(request, _ERROR_CODE, text)
        except FileTransferError as error:
            # The store logs the traceback of what the system refused, and its text has no paths.
            text = printable(str(error))
            self._note(logging.ERROR, "Lost a segment of client %s: %s", request, text)
            response = ErrorResponse(request, _ERROR_CODE, text)
        except Exception as error:  # noqa: BLE001 - it is logged, and the next request is served
            text = _public_reason(error)
            self._note(logging.ERROR, "Lost a segment of client %s: %s", request, text, error)
            response = ErrorResponse(request, _ERROR_CODE, text)
        self._send(response)

    def _note(
        self, level: int, text: str, request: Request, reason: str, error: Exception | None = None
    ) -> None:
        self._log.write(level, text, printable(request.source_client_id), reason, error=error)

    def _send(self, response: Response) -> None:
        try:
            self._dxl_client.send_response(response)
        except Exception as error:  # noqa: BLE001 - it is logged, and others are served on
            # The sender runs into its time-out and may ask again.
            text = "Cannot send the answer to request %s"
            self._log.write(logging.ERROR, text, response.request_message_id, error=error)


class FileStoreRequestCallback(SegmentRequestCallback):
    """Stores the files that version 1 clients send, in a directory of its own.

    It can be put on any service and any topic. Close it when the service has ended.

    Args:
        dxl_client: The connected client through which answers are sent.
        storage_dir: Directory under which files are stored; created if it does not exist.
        working_dir: Directory of files that are still being received, ``None`` for ``.workdir``
            in `storage_dir`. Only one store at a time may use it.
        partial_file_lifetime: Seconds without a segment after which `expire` removes an
            unfinished file; above 0.

    Raises:
        PermissionError: `storage_dir` does not exist and may not be created.
        OSError: One of the directories cannot be used.

    Example:
        >>> info = ServiceRegistrationInfo(dxl_client, "/mycompany/files")  # doctest: +SKIP
        >>> callback = FileStoreRequestCallback(dxl_client, "/srv/files")  # doctest: +SKIP
        >>> info.add_topic("/mycompany/files/store", callback)  # doctest: +SKIP
    """

    def __init__(
        self,
        dxl_client: DxlClient,
        storage_dir: str | os.PathLike[str],
        working_dir: str | os.PathLike[str] | None = None,
        *,
        partial_file_lifetime: float = DEFAULT_LIFETIME,
    ) -> None:
        self._files = FileStoreManager(
            storage_dir, working_dir, partial_lifetime=partial_file_lifetime
        )
        super().__init__(dxl_client, self._files)

    def expire(self) -> None:
        """Remove unfinished files that have been left alone for longer than their lifetime."""
        self._files.expire()

    def close(self) -> None:
        """Close the store and free its directories for another one; may be called again."""
        self._files.close()


def _public_reason(error: Exception) -> str:
    """Return what a sender may know of a fault: no path of this machine, no detail of it."""
    if isinstance(error, OSError):
        return f"cannot store: {error.strerror or type(error).__name__}"
    return f"internal error of the service: {type(error).__name__}"
