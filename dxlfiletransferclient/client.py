"""The client: sends files to a file transfer service, gets them back, and manages them there."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dxlbootstrap.client import Client
from dxlclient.client import DxlClient

from dxlfiletransferclient import wire
from dxlfiletransferclient.constants import DEFAULT_SEGMENT_SIZE, DEFAULT_STORE_TOPIC
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.dxlbus import DxlBus
from dxlfiletransferclient.outcomes import FileOutcome, OutcomeCallback, TransferReport
from dxlfiletransferclient.progress import ProgressCallback
from dxlfiletransferclient.protocol.messages import Entry
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.receiver import Receiver, StoredFile
from dxlfiletransferclient.results import FileSendResult, FileSendSegmentResult
from dxlfiletransferclient.segments import ReadableStream, check_segment_size, check_total
from dxlfiletransferclient.sending.identity import call_key
from dxlfiletransferclient.sending.naming import PathLike, name_sources
from dxlfiletransferclient.sending.options import SendOptions
from dxlfiletransferclient.sending.reports import SegmentCallback
from dxlfiletransferclient.sending.version1 import opened
from dxlfiletransferclient.sending.ways import Ways

__all__ = ["FileSendResult", "FileSendSegmentResult", "FileTransferClient"]

_NANOSECONDS: Final = 1_000_000_000

_SEND_DEFAULTS: Final = SendOptions()
_GET_DEFAULTS: Final = GetOptions()


class FileTransferClient(Client):
    """Sends files over the fabric to a service that stores them, and gets them back.

    ``send`` and ``send_stream`` are for new programs. ``send_file_request`` and
    ``send_file_from_stream_request`` are those of version 0.1: they take and return what they did
    there. All of them use version 2 of the wire where the service offers it, and version 1 where it
    does not.

    ``response_timeout`` (seconds, at least 30, 30 by default) says how long these two wait for the
    answer to each segment, and how long any call goes on without one by version 1.

    Args:
        dxl_client: A DXL client; connect it before sending.
        send_file_topic: Topic on which the service takes store requests.

    Example:
        Send a file, to be stored as ``reports/may.csv`` below the service's storage directory, and
        a directory with all that is in it, to be stored as ``2026/pictures``::

            with DxlClient(config) as dxl_client:
                dxl_client.connect()
                client = FileTransferClient(dxl_client)
                client.send("may.csv", "reports/may.csv").raise_for_failure()
                client.send("pictures", "2026/").raise_for_failure()
                client.get("2026/pictures", "copies/").raise_for_failure()
    """

    def __init__(self, dxl_client: DxlClient, send_file_topic: str = DEFAULT_STORE_TOPIC) -> None:
        super().__init__(dxl_client)
        self._store_topic = send_file_topic
        self._ways = Ways(dxl_client, send_file_topic)

    def send(
        self,
        sources: PathLike | Iterable[PathLike],
        to: str = "",
        *,
        options: SendOptions = _SEND_DEFAULTS,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
        cancel: Cancellation | None = None,
    ) -> TransferReport:
        """Send files and directories, and wait until all of them are stored.

        Whatever gets lost on the way is sent again; service, broker and connection may go and come
        back meanwhile. A file that fails is reported, and the others are sent. What was sent of a
        file when the call fails or is cancelled stays with the service, and the same call goes on
        with it.

        Args:
            sources: One path or several: files, directories, named pipes or devices. A directory
                ``dir`` is sent as ``dir/...``, and ``dir/.`` or ``.`` as what is in it.
            to: Where they go: empty for the storage directory itself; for a single file, its name,
                unless it ends with ``/``; for anything else, the directory that they go to.
            options: What may be chosen: overwriting, links, sizes, times.
            progress: Is called with the progress, some times per second and at the end.
            on_outcome: Is called with the outcome of each file.
            cancel: Ends the call from another thread.

        Returns:
            What became of the files; ``raise_for_failure`` makes an error of it if one failed.

        Raises:
            ValueError: If there is nothing to send, or files would get the same name.
            UnsafeNameError: If nothing may be stored under ``to``.
            NotConnectedError: If there is no connection, or it does not come back.
            NoAnswerError: If the service does not answer, or does not come back.
            ServiceError: If nobody offers the service.
            Version1Error: If it speaks version 1 only, and older files are not to be replaced.
            TransferCancelledError: If it was cancelled.
        """
        named = name_sources(sources, to)
        paths = [source.path for source in named]
        with self._ways.sender(
            call_key(named),
            self.response_timeout,
            options=options,
            cancel=cancel,
            progress=progress,
            on_outcome=on_outcome,
        ) as sender:
            return sender.send(paths, to)

    def send_stream(
        self,
        stream: ReadableStream,
        name: str,
        *,
        size: int | None = None,
        modified: float | None = None,
        options: SendOptions = _SEND_DEFAULTS,
        progress: ProgressCallback | None = None,
        cancel: Cancellation | None = None,
    ) -> FileOutcome:
        """Send what a stream holds, as a file, and wait until it is stored.

        A stream cannot be gone on with by a later call, so the service drops what it has of it if
        this one fails.

        Args:
            stream: Any object with a ``read(size)`` that blocks until it has bytes or text; text is
                stored as UTF-8. While it blocks, so does the call.
            name: Name below the service's storage directory, with ``/`` between subdirectories.
            size: Bytes to send (of UTF-8, where the stream is text); exactly so many are read. By
                default it is sent until its end.
            modified: Modification time that the file gets, in seconds since 1970; by default that
                when it is stored. Version 1 takes none.
            options: What may be chosen: overwriting, sizes, times.
            progress: Is called with the progress, some times per second and at the end.
            cancel: Ends the call from another thread.

        Returns:
            What was stored, or that an older file was kept.

        Raises:
            SourceChangedError: If the stream ends before ``size``.
            BlockingIOError: If the stream is in non-blocking mode and has no data.
            TypeError: If an argument, or what the stream reads, has a wrong type.
            ValueError: If the name or size is out of range.
            FileTransferError: If it is not stored; see also :meth:`send`.
        """
        check_total(None, size, 1)
        name = wire.check_name(name)
        modified_ns = None if modified is None else round(modified * _NANOSECONDS)
        with self._ways.sender(
            name, self.response_timeout, options=options, cancel=cancel, progress=progress
        ) as sender:
            return sender.send_stream(stream, name, size=size, modified_ns=modified_ns)

    def get(
        self,
        names: str | Iterable[str],
        target: PathLike = ".",
        *,
        options: GetOptions = _GET_DEFAULTS,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
        cancel: Cancellation | None = None,
    ) -> TransferReport:
        """Receive files and directories, and wait until all of them are safe on the disk here.

        A file appears under its name when it is whole and its SHA-256 was compared. What was
        received of one when the call fails, is cancelled or its process is killed stays beside the
        target in a hidden file, and the same call goes on with it.

        Args:
            names: One name on the service or several; empty or ``.`` for all that is stored.
            target: A directory if there is one of that name, for several names, for a directory, or
                if it ends with a separator; otherwise the path of the file.
            options: What may be chosen: overwriting, links, sizes.
            progress: Is called with the progress, some times per second and at the end.
            on_outcome: Is called with the outcome of each file.
            cancel: Ends the call from another thread.

        Returns:
            What became of the files; ``raise_for_failure`` makes an error of it if one failed.

        Raises:
            ValueError: If there are no names, or two of them would get the same place.
            UnsafeNameError: If nothing can be stored under a name.
            NotConnectedError: If there is no connection, or it does not come back.
            NoAnswerError: If the service does not answer, or does not come back.
            RefusedError: If nobody offers version 2 of the service, or it gives nothing away.
            TransferCancelledError: If it was cancelled.
        """
        with self._receiver(options, progress, on_outcome, cancel) as receiver:
            return receiver.get(names, target)

    def list(self, name: str = "", *, recursive: bool = False) -> Iterator[Entry]:
        """Yield what is in a directory, in the order of the names.

        The service is asked page by page, so a directory may hold any number of entries.

        Args:
            name: The directory; empty for the storage directory itself.
            recursive: Whether to list everything below it too, each directory before its content.

        Raises:
            UnsafeNameError: If nothing can be stored under the name.
            RefusedError: If there is no such directory, or as for :meth:`get`.
            FileTransferError: As for :meth:`get`.
        """
        with self._receiver() as receiver:
            yield from receiver.list(name, recursive=recursive)

    def stat(self, name: str, *, digest: bool = False) -> StoredFile:
        """Return what is stored under a name.

        Args:
            name: The name.
            digest: Whether the SHA-256 of a file is wanted; the service may have to read it.

        Raises:
            UnsafeNameError: If nothing can be stored under the name.
            RefusedError: If there is nothing of that name, or as for :meth:`get`.
            FileTransferError: As for :meth:`get`.
        """
        with self._receiver() as receiver:
            return receiver.stat(name, digest=digest)

    def remove(self, name: str, *, recursive: bool = False) -> int:
        """Remove a stored file, link or directory.

        Args:
            name: Its name.
            recursive: Whether to remove a directory with everything in it.

        Returns:
            How many files, links and directories were removed; fewer than there were if an answer
            got lost on its way.

        Raises:
            UnsafeNameError: If nothing can be stored under the name.
            RefusedError: If there is nothing of that name, the directory is not empty, or as for
                :meth:`get`.
            FileTransferError: As for :meth:`get`.
        """
        with self._receiver() as receiver:
            return receiver.remove(name, recursive=recursive)

    def send_file_request(
        self,
        file_name_to_send: str | os.PathLike[str],
        file_name_on_server: str | None = None,
        max_segment_size: int = DEFAULT_SEGMENT_SIZE,
        callback: SegmentCallback | None = None,
    ) -> FileSendResult:
        """Send a file and wait until the service has stored it.

        Args:
            file_name_to_send: Path of the file. A pipe or device is sent until its end.
            file_name_on_server: Name below the service's storage directory, with ``/`` between
                subdirectories; the base name of the file by default.
            max_segment_size: Bytes per request, 1 to ``constants.MAX_SEGMENT_SIZE``. Larger ones
                are faster; each is held in memory here, in the broker and in the service.
            callback: Called with a :class:`FileSendSegmentResult` after each acknowledged segment.

        Returns:
            Id, size and hashes of the stored file.

        Raises:
            FileNotFoundError: If there is no such file.
            IsADirectoryError: If it is a directory.
            SourceChangedError: If the file changes while it is sent; nothing is stored then.
            TypeError: If an argument has a wrong type.
            ValueError: If the segment size or the name is out of range.
            NotConnectedError: If the DXL client is not connected.
            NoAnswerError: If an answer does not come within ``response_timeout``.
            ServiceError: If the service or the fabric answers with an error.
            MalformedAnswerError: If an answer does not follow the protocol.
        """
        segment_size = check_segment_size(max_segment_size)
        path = Path(file_name_to_send)
        with opened(path) as file:
            name = wire.check_name(file_name_on_server or path.name)
            with self._ways.requester(name, segment_size, self.response_timeout) as requester:
                return requester.send_file(file, path, name, callback)

    def send_file_from_stream_request(
        self,
        stream: ReadableStream,
        file_name_on_server: str,
        stream_size: int | None = None,
        max_segment_size: int = DEFAULT_SEGMENT_SIZE,
        total_segments: int | None = None,
        callback: SegmentCallback | None = None,
    ) -> FileSendResult:
        """Send what a stream holds, as a file, and wait until the service has stored it.

        Args:
            stream: Any object with a ``read(size)`` that blocks until it has bytes or text; text is
                stored as UTF-8.
            file_name_on_server: Name below the service's storage directory, with ``/`` between
                subdirectories.
            stream_size: Bytes to send (of UTF-8, where the stream is text); exactly so many are
                read. By default the stream is sent until its end, which counts as one more segment.
            max_segment_size: See :meth:`send_file_request`.
            total_segments: Number of segments, for progress reports. Where ``stream_size`` is not
                given, sending stops after so many, or earlier if the stream ends.
            callback: Called with a :class:`FileSendSegmentResult` after each acknowledged segment.

        Returns:
            Id, size and hashes of the stored file.

        Raises:
            SourceChangedError: If the stream ends before ``stream_size``; nothing is stored then.
            BlockingIOError: If the stream is in non-blocking mode and has no data.
            TypeError: If an argument, or what the stream reads, has a wrong type.
            ValueError: If an argument is out of range.
            NotConnectedError: If the DXL client is not connected.
            NoAnswerError: If an answer does not come within ``response_timeout``.
            ServiceError: If the service or the fabric answers with an error.
            MalformedAnswerError: If an answer does not follow the protocol.
        """
        segment_size = check_segment_size(max_segment_size)
        check_total(total_segments, stream_size, segment_size)
        name = wire.check_name(file_name_on_server)
        with self._ways.requester(name, segment_size, self.response_timeout) as requester:
            return requester.send_stream(
                stream, name, callback, size=stream_size, total_segments=total_segments
            )

    @contextmanager
    def _receiver(
        self,
        options: GetOptions = _GET_DEFAULTS,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
        cancel: Cancellation | None = None,
    ) -> Iterator[Receiver]:
        with DxlBus(self._dxl_client) as bus:
            yield Receiver(
                bus,
                self._store_topic,
                options=options,
                cancel=cancel,
                progress=progress,
                on_outcome=on_outcome,
            )
