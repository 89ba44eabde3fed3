"""What a call of the control API can fail with."""

from enum import StrEnum

from dxlfiletransferclient.errors import FileTransferError


class ErrorKind(StrEnum):
    """What kind of mistake a refused command is; it travels with the text."""

    NOT_FOUND = "notFound"
    """There is no such object, or it is not the caller's."""

    INVALID = "invalid"
    """An argument is missing, unknown, of the wrong type or out of range."""

    STATE = "state"
    """The object is not in a state in which this is possible."""

    NOT_AUTHENTICATED = "notAuthenticated"
    """The caller has to log on first, or could not."""

    NOT_ALLOWED = "notAllowed"
    """The caller has logged on, and may not do this."""

    UNKNOWN_COMMAND = "unknownCommand"
    """The server does not know the command: it is older, or the name is wrong."""

    BUSY = "busy"
    """The server cannot do this at the moment."""

    INTERNAL = "internal"
    """The server failed in a way that it did not foresee; its log says more."""


class ControlError(FileTransferError):
    """Base of what calls of the control API fail with."""


class ConnectError(ControlError):
    """There is no way to a transfer server; the text says why, and what helps."""


class ServerChoiceError(ConnectError):
    """There are several transfer servers to choose from, or none that is the one that is meant."""


class ApiVersionError(ConnectError):
    """Server and client speak different levels of the control API."""


class NotConnectedError(ControlError):
    """There is no connection to a server: none was made yet, or it was ended."""


class ConnectionLostError(NotConnectedError):
    """The connection was lost and has not come back in time; the next call tries again.

    What was called may have been carried out.
    """


class CallTimeoutError(ControlError, TimeoutError):
    """The server has not answered in time; the next call tries again.

    What was called may have been carried out.
    """


class WaitTimeoutError(ControlError, TimeoutError):
    """What was waited for has not happened in time; it goes on at the server."""


class CommandError(ControlError):
    """The transfer server refused a command.

    Args:
        message: What is wrong, as a sentence that names the thing.
        kind: What kind of mistake it is.

    Example:
        >>> try:
        ...     raise CommandError("there is no transfer '17'", ErrorKind.NOT_FOUND)
        ... except CommandError as error:
        ...     print(error.kind, "-", error)
        notFound - there is no transfer '17'
    """

    def __init__(self, message: str, kind: ErrorKind = ErrorKind.INVALID) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind

    def __str__(self) -> str:
        return self.message


class AuthenticationError(CommandError):
    """User, password or token are not right, or the call needs them first."""

    def __init__(self, message: str, kind: ErrorKind = ErrorKind.NOT_AUTHENTICATED) -> None:
        super().__init__(message, kind)


def command_error(kind: str, message: str) -> CommandError:
    """Return the error that a server has answered with.

    Args:
        kind: What it says about the kind; one that is not known counts as ``INTERNAL``.
        message: What is wrong.
    """
    known = next((each for each in ErrorKind if each == kind), ErrorKind.INTERNAL)
    if known is ErrorKind.NOT_AUTHENTICATED:
        return AuthenticationError(message)
    return CommandError(message, known)
