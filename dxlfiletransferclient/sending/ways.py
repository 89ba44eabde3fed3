"""Which version of the wire a call goes by: the newest one that the service speaks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dxlclient.client import DxlClient

from dxlfiletransferclient.errors import NoAnswerError, NotConnectedError, ServiceError
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.dxlbus import DxlBus
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.outcomes import OutcomeCallback
from dxlfiletransferclient.progress import ProgressCallback
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sending.options import SendOptions
from dxlfiletransferclient.sending.requester import Requester
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.sending.version1 import (
    SEGMENT_SIZE,
    Version1Requester,
    Version1Sender,
    is_nobody,
)
from dxlfiletransferclient.sending.version2 import Version2Requester


class Ways:
    """Connects to the service for each call.

    That it speaks version 1 only is remembered until a call fails to reach it.

    Args:
        dxl_client: A DXL client.
        store_topic: Topic on which the service takes store requests.
    """

    def __init__(self, dxl_client: DxlClient, store_topic: str) -> None:
        self._dxl_client = dxl_client
        self._store_topic = store_topic
        self._version_1_only = False

    @contextmanager
    def sender(
        self,
        key: str,
        timeout: float,
        *,
        options: SendOptions,
        cancel: Cancellation | None = None,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
    ) -> Iterator[Sender | Version1Sender]:
        """Provide what sends files, directories and streams.

        Args:
            key: Decides between several instances.
            timeout: Seconds to wait for each answer by version 1.
            options: What may be chosen.
            cancel: Ends it.
            progress: Is called with the progress.
            on_outcome: Is called with each outcome.

        Raises:
            FileTransferError: The service cannot be reached.
            Version1Error: It speaks version 1 only, which cannot do what is asked for.
        """

        def make(bus: DxlBus) -> Sender:
            return Sender(
                bus,
                self._store_topic,
                options=options,
                cancel=cancel,
                progress=progress,
                on_outcome=on_outcome,
            )

        with self._connected(key, make) as sender:
            yield sender or Version1Sender(
                self._version_1(timeout, options.segment_size or SEGMENT_SIZE),
                options=options,
                cancel=cancel,
                progress=progress,
                on_outcome=on_outcome,
            )

    @contextmanager
    def requester(self, name: str, segment_size: int, timeout: float) -> Iterator[Requester]:
        """Provide what sends a single file as version 0.1 did.

        Args:
            name: Name of the file on the service.
            segment_size: Largest segment, in bytes.
            timeout: Seconds to wait for answers.

        Raises:
            FileTransferError: The service cannot be reached.
        """
        if not self._dxl_client.connected:
            msg = f"cannot send {name!r}: the DXL client is not connected; call connect() first"
            raise NotConnectedError(msg)
        engine = EngineOptions(patience=timeout, connect_timeout=timeout)
        options = SendOptions(segment_size=segment_size, engine=engine)
        with self._connected(
            name, lambda bus: Sender(bus, self._store_topic, options=options)
        ) as sender:
            if sender is None:
                yield self._version_1(timeout, segment_size)
            else:
                yield Version2Requester(sender, segment_size)

    def _version_1(self, timeout: float, segment_size: int) -> Version1Requester:
        return Version1Requester(
            self._dxl_client, self._store_topic, timeout=timeout, segment_size=segment_size
        )

    @contextmanager
    def _connected(self, key: str, make: Callable[[DxlBus], Sender]) -> Iterator[Sender | None]:
        """Provide a sender that is connected; nothing if the service speaks version 1 only."""
        if self._version_1_only:
            with self._looking_again_on_failure():
                yield None
            return
        with DxlBus(self._dxl_client) as bus:
            sender = make(bus)
            if self._found(sender, key):
                yield sender
                return
        with self._looking_again_on_failure():
            yield None

    def _found(self, sender: Sender, key: str) -> bool:
        try:
            sender.connect(key)
        except RefusedError as error:
            if not error.means(ErrorCode.NO_SERVICE):
                raise
            # Either it speaks version 1, or nobody is there: the first request will tell.
            self._version_1_only = True
            return False
        return True

    @contextmanager
    def _looking_again_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (NoAnswerError, NotConnectedError):
            self._version_1_only = False
            raise
        except ServiceError as error:
            if is_nobody(error):
                self._version_1_only = False
            raise
