"""Options that several commands have in common."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_ADDRESS: Final = "127.0.0.1"
"""Where a broker listens unless it is told: for this machine alone."""

HIGHEST_PORT: Final = 65535
"""The highest port that TCP has."""

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Directory for certificates, configurations and files. "
        "[default: $DXLFT_HOME, or dxlft in your user data directory]",
    ),
]

AddressOption = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Address to listen on; 0.0.0.0 for every network of this machine.",
        show_default=True,
    ),
]

VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Show the log, and the traceback of an error.")
]

StopWithStdinOption = Annotated[bool, typer.Option("--stop-with-stdin", hidden=True)]
