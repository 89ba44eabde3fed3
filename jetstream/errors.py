"""What methods raise; every one of them is a :class:`JetstreamError`.

======================  ========================================================================
``JetstreamError``      base of all
``CommandError``        the server refuses: no such object, wrong argument, wrong state; ``kind``
                        says which
``AuthenticationError`` a ``CommandError``: wrong user, password or token, or nobody has logged on
``ConnectError``        no way to the server; ``ServerChoiceError`` where there are several, and
                        ``ApiVersionError`` where it is of another release, are two of them
``NotConnectedError``   ``connect()`` was not called, or ``disconnect()`` was;
                        ``ConnectionLostError`` is one: it broke and has not come back in time
``CallTimeoutError``    the server has not answered in time; also a ``TimeoutError``
``WaitTimeoutError``    what was waited for took longer than it may; also a ``TimeoutError``
======================  ========================================================================
"""

from dxlfiletransferclient.control.errors import (
    ApiVersionError,
    AuthenticationError,
    CallTimeoutError,
    CommandError,
    ConnectError,
    ConnectionLostError,
    ErrorKind,
    NotConnectedError,
    ServerChoiceError,
    WaitTimeoutError,
)
from dxlfiletransferclient.control.errors import ControlError as JetstreamError

__all__ = [
    "ApiVersionError",
    "AuthenticationError",
    "CallTimeoutError",
    "CommandError",
    "ConnectError",
    "ConnectionLostError",
    "ErrorKind",
    "JetstreamError",
    "NotConnectedError",
    "ServerChoiceError",
    "WaitTimeoutError",
]
