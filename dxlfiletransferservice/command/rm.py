"""``dxlft rm``: removes what is stored."""

from typing import Annotated

import typer

from dxlfiletransferservice.command.connecting import connected_client
from dxlfiletransferservice.command.console import log_to_stderr, say, shown
from dxlfiletransferservice.command.eachname import do_for_each
from dxlfiletransferservice.command.interrupts import interrupted_by_signals
from dxlfiletransferservice.command.options import ConfigOption, HomeOption, VerboseOption


def rm_command(
    *,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Files, links and directories to remove.")
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Remove directories with everything in them.")
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    verbose: VerboseOption = False,
) -> None:
    r"""Remove what is stored.

    Writes what was removed. Without --recursive, a directory is removed only if it is empty. If
    there is nothing of a name, the others are still removed, and the exit code is 1.

    \b
    Examples:
      dxlft rm 2026/may.pdf
      dxlft rm -r 2026
    """
    log_to_stderr(service=False, verbose=verbose)
    with interrupted_by_signals(), connected_client(config, home) as client:

        def remove(name: str) -> None:
            count = client.remove(name, recursive=recursive)
            within = f" ({count:,} files, links and directories)" if count > 1 else ""
            say(f"removed {shown(name)}{within}")

        do_for_each(names, remove, verbose=verbose)
