"""What the exit code of ``dxlft`` says."""

from enum import IntEnum

from dxlfabric.errors import BrokerError, CertificateError, ConfigurationError, ConnectError
from dxlfiletransferservice.home import HomeError
from dxlfiletransferservice.supervisor import ProcessFailedError


class ExitCode(IntEnum):
    """Exit codes of every ``dxlft`` command."""

    SUCCESS = 0
    """Everything was done."""

    FAILURE = 1
    """A transfer failed, a broker or service ended by itself, or something else went wrong."""

    USAGE = 2
    """The command line is wrong."""

    NO_FABRIC = 3
    """The fabric cannot be reached, or refuses this client."""

    HOME = 4
    """The home is in use by another server, or cannot be written to."""

    CONFIGURATION = 5
    """A configuration file, certificate or key is missing or cannot be used."""

    ADDRESS = 6
    """The broker cannot listen on its address and port."""

    INTERRUPTED = 130
    """Ctrl-C or SIGTERM ended a command before it was done."""


MEANINGS = {
    ExitCode.SUCCESS: "done; also a server or broker that was told to end",
    ExitCode.FAILURE: "a transfer or the service failed",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.NO_FABRIC: "the fabric cannot be reached, or refuses this client",
    ExitCode.HOME: "the home is in use, or cannot be written to",
    ExitCode.CONFIGURATION: "a configuration, certificate or key cannot be used",
    ExitCode.ADDRESS: "the broker cannot listen on its port (taken?)",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C or SIGTERM",
}
"""What to tell people about each code, in one line."""

_BY_ERROR: dict[type[Exception], ExitCode] = {
    ConnectError: ExitCode.NO_FABRIC,
    HomeError: ExitCode.HOME,
    CertificateError: ExitCode.CONFIGURATION,
    ConfigurationError: ExitCode.CONFIGURATION,
    BrokerError: ExitCode.ADDRESS,
}


def exit_code_for(error: Exception) -> ExitCode:
    """Return the exit code for an error that ends a command."""
    if isinstance(error, ProcessFailedError):
        failures = {code.value for code in ExitCode} - {ExitCode.SUCCESS}
        return ExitCode(error.exit_code) if error.exit_code in failures else ExitCode.FAILURE
    for kind, code in _BY_ERROR.items():
        if isinstance(error, kind):
            return code
    return ExitCode.FAILURE
