"""The file transfer service on an OpenDXL fabric."""

from dxlfiletransferclient._version import __version__
from dxlfiletransferservice.app import FileTransferService

__all__ = ["FileTransferService", "__version__", "get_version"]


def get_version() -> str:
    """Return the version of the package, for example ``0.2.0``."""
    return __version__
