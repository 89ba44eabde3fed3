"""Files on the OpenDXL bus: the client that sends them and the store that keeps them."""

from dxlfiletransferclient._version import __version__
from dxlfiletransferclient.client import (
    FileSendResult,
    FileSendSegmentResult,
    FileTransferClient,
)
from dxlfiletransferclient.constants import FileStoreProp, FileStoreResultProp, HashType
from dxlfiletransferclient.errors import (
    FileTransferError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    NotConnectedError,
    ServiceError,
    SourceChangedError,
    StorageError,
    StoreClosedError,
    UnknownFileError,
    UnsafeNameError,
    WorkingDirectoryInUseError,
)
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.dxlbus import WrongThreadError
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.outcomes import (
    FileOutcome,
    OutcomeCallback,
    Result,
    TransferFailedError,
    TransferReport,
)
from dxlfiletransferclient.progress import Phase, Progress, ProgressCallback
from dxlfiletransferclient.protocol.messages import Entry, Kind, Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.receiving.call import NotReceivedError
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.receiver import StoredFile
from dxlfiletransferclient.sending.options import Links, SendOptions
from dxlfiletransferclient.sending.scan import NotSentError
from dxlfiletransferclient.sending.streamsource import StreamLostError
from dxlfiletransferclient.sending.version1 import Version1Error
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.store import FileStoreManager, FileStoreSegmentResult

__all__ = [
    "Cancellation",
    "EngineOptions",
    "Entry",
    "ErrorCode",
    "FileOutcome",
    "FileSendResult",
    "FileSendSegmentResult",
    "FileStoreManager",
    "FileStoreProp",
    "FileStoreResultProp",
    "FileStoreSegmentResult",
    "FileTransferClient",
    "FileTransferError",
    "GetOptions",
    "HashType",
    "InvalidRequestError",
    "Kind",
    "Links",
    "LocalStore",
    "MalformedAnswerError",
    "NoAnswerError",
    "NotConnectedError",
    "NotReceivedError",
    "NotSentError",
    "OutcomeCallback",
    "Overwrite",
    "Phase",
    "Progress",
    "ProgressCallback",
    "RefusedError",
    "Result",
    "SendOptions",
    "ServiceError",
    "SourceChangedError",
    "StorageError",
    "Store",
    "StoreClosedError",
    "StoreOptions",
    "StoredFile",
    "StreamLostError",
    "TransferCancelledError",
    "TransferFailedError",
    "TransferReport",
    "UnknownFileError",
    "UnsafeNameError",
    "Version1Error",
    "WorkingDirectoryInUseError",
    "WrongThreadError",
    "__version__",
    "get_version",
]


def get_version() -> str:
    """Return the version of the package."""
    return __version__
