"""Does something with each name of a command line, also after one has failed."""

from collections.abc import Callable, Iterable
from typing import Final

import typer

from dxlfiletransferclient import UnsafeNameError
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferservice.command.console import complain, shown, trace
from dxlfiletransferservice.command.exitcodes import ExitCode

_FOR_EVERY_NAME: Final = (ErrorCode.NO_SERVICE, ErrorCode.NOT_ALLOWED)


def do_for_each(names: Iterable[str], do: Callable[[str], object], *, verbose: bool) -> None:
    """Do something with each name; what the service refuses is told, and the next one follows.

    Args:
        names: Names on the service.
        do: What to do.
        verbose: Whether to write tracebacks, too.

    Raises:
        typer.Exit: Something was refused.
        Exception: What ``do`` raises where it holds for every name, as that nobody can be reached.
    """
    failed = False
    for name in names:
        try:
            do(name)
        except (RefusedError, UnsafeNameError) as error:
            if isinstance(error, RefusedError) and error.means(*_FOR_EVERY_NAME):
                raise
            if verbose:
                trace(error)
            complain(f"{shown(name)}: {error}")
            failed = True
    if failed:
        raise typer.Exit(ExitCode.FAILURE)
