"""What commands that transfer files have in common: display, results, interruption."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.outcomes import FileOutcome
from dxlfiletransferservice.command.console import say
from dxlfiletransferservice.command.display import Display, display
from dxlfiletransferservice.command.interrupts import (
    GOES_ON,
    InterruptedTransferError,
    cancelled_by_signals,
)
from dxlfiletransferservice.command.resultlines import Name, ResultLines


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a transfer is given to tell people how it goes, and to be ended by them.

    Attributes:
        shows: Is told how far it is.
        lines: Is told what becomes of each file.
        cancel: Ends it.
    """

    shows: Display
    lines: ResultLines
    cancel: Cancellation


@contextmanager
def transfer(
    named: Sequence[Name],
    called: Callable[[FileOutcome], Name],
    *,
    verbose: bool,
    line: Callable[[str], object] = say,
    interrupted: str = GOES_ON,
) -> Iterator[Transfer]:
    """Show a transfer, and say at the end what came of it, however it ends.

    Args:
        named: What was named on the command line, as ``called`` gives it.
        called: What a file is called where the command was given: its path or its name there.
        verbose: Whether to write a line for each file.
        line: Where results go; standard output by default.
        interrupted: What to say if it is interrupted.

    Raises:
        InterruptedTransferError: A signal has come.
    """
    with cancelled_by_signals() as cancel:
        shows = display(verbose=verbose)
        lines = ResultLines(named, called, complain=shows.complain, verbose=verbose, line=line)
        complete = False
        try:
            with shows:
                yield Transfer(shows, lines, cancel)
            complete = True
        except Exception as error:
            # What else fails then, fails because of it.
            if cancel.cancelled:
                raise InterruptedTransferError(interrupted) from error
            raise
        finally:
            lines.close(complete=complete)
