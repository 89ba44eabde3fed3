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
from dxlfiletransferclient.store import FileStoreManager, FileStoreSegmentResult

__all__ = [
    "FileSendResult",
    "FileSendSegmentResult",
    "FileStoreManager",
    "FileStoreProp",
    "FileStoreResultProp",
    "FileStoreSegmentResult",
    "FileTransferClient",
    "FileTransferError",
    "HashType",
    "InvalidRequestError",
    "MalformedAnswerError",
    "NoAnswerError",
    "NotConnectedError",
    "ServiceError",
    "SourceChangedError",
    "StorageError",
    "StoreClosedError",
    "UnknownFileError",
    "UnsafeNameError",
    "WorkingDirectoryInUseError",
    "__version__",
    "get_version",
]


def get_version() -> str:
    """Return the version of the package."""
    return __version__
