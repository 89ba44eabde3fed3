"""The file transfer service on an OpenDXL fabric."""

from typing import TYPE_CHECKING, Any

from dxlfiletransferclient._version import __version__

if TYPE_CHECKING:
    from dxlfiletransferservice.app import FileTransferService

__all__ = ["FileTransferService", "__version__", "get_version"]


def get_version() -> str:
    """Return the version of the package, for example ``0.2.0``."""
    return __version__


def __getattr__(name: str) -> Any:
    # The service needs a database and much else, for which commands that only send need not wait.
    if name == "FileTransferService":
        from dxlfiletransferservice.app import FileTransferService

        return FileTransferService
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
