"""What the exit code of ``dxlft`` says."""

from enum import IntEnum
from typing import Self

from dxlfabric.errors import BrokerError, CertificateError, ConfigurationError, ConnectError
from dxlfiletransferclient import NotConnectedError
from dxlfiletransferclient.control import errors as control
from dxlfiletransferservice.command.interrupts import InterruptedTransferError
from dxlfiletransferservice.home import HomeError
from dxlfiletransferservice.supervisor import ProcessFailedError


class ExitCode(IntEnum):
    """Exit codes of every ``dxlft`` command.

    Attributes:
        meaning: What to tell people about the code, in one line.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a code of its number and its meaning."""
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    SUCCESS = 0, "done; also a server or broker that was told to end"
    FAILURE = 1, "a transfer or the service failed"
    USAGE = 2, "the command line is wrong"
    NO_FABRIC = 3, "the fabric cannot be reached, or refuses this client"
    HOME = 4, "the home is in use, or cannot be written to"
    CONFIGURATION = 5, "a configuration, certificate or key cannot be used"
    ADDRESS = 6, "the broker cannot listen on its port (taken?)"
    INTERRUPTED = 130, "interrupted by Ctrl-C or SIGTERM"


_BY_ERROR: dict[type[Exception], ExitCode] = {
    ConnectError: ExitCode.NO_FABRIC,
    NotConnectedError: ExitCode.NO_FABRIC,
    control.NotConnectedError: ExitCode.NO_FABRIC,
    InterruptedTransferError: ExitCode.INTERRUPTED,
    HomeError: ExitCode.HOME,
    CertificateError: ExitCode.CONFIGURATION,
    ConfigurationError: ExitCode.CONFIGURATION,
    BrokerError: ExitCode.ADDRESS,
}


def exit_code_for(error: Exception) -> ExitCode:
    """Return the exit code for an error that ends a command."""
    if isinstance(error, ProcessFailedError):
        failures = {int(code): code for code in ExitCode if code}
        return failures.get(error.exit_code or 0, ExitCode.FAILURE)
    for kind, code in _BY_ERROR.items():
        if isinstance(error, kind):
            return code
    return ExitCode.FAILURE
