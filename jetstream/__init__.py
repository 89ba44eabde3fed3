"""The control API of a transfer server, for programs to import.

>>> from jetstream import Jetstream
>>> api = Jetstream().api("localhost", 8886)

``api.server`` logs on and tells about the server, ``api.send`` sends files, ``api.recv`` controls
what is received. See ``jetstream.constants`` for the values that methods take,
``jetstream.errors`` for what they raise, and ``jetstream.structures`` for what they return.
"""

from dxlfiletransferclient._version import __version__
from jetstream import constants, errors
from jetstream.apiinterface import APIInterface, JetStream, Jetstream
from jetstream.errors import (
    AuthenticationError,
    CallTimeoutError,
    CommandError,
    ConnectError,
    JetstreamError,
    NotConnectedError,
    WaitTimeoutError,
)
from jetstream.helper import Helper
from jetstream.recvinterface import RecvInterface
from jetstream.sendinterface import SendInterface
from jetstream.serverinterface import ServerInterface
from jetstream.transferobject import TransferObject

__all__ = [
    "APIInterface",
    "AuthenticationError",
    "CallTimeoutError",
    "CommandError",
    "ConnectError",
    "Helper",
    "JetStream",
    "Jetstream",
    "JetstreamError",
    "NotConnectedError",
    "RecvInterface",
    "SendInterface",
    "ServerInterface",
    "TransferObject",
    "WaitTimeoutError",
    "__version__",
    "constants",
    "errors",
]
