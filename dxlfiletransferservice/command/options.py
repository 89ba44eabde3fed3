"""Options that several commands have in common."""

from pathlib import Path
from typing import Annotated, Final

import typer

from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import Overwrite

DEFAULT_ADDRESS: Final = "127.0.0.1"
"""Where a broker listens unless it is told: for this machine alone."""

HIGHEST_PORT: Final = 65535
"""The highest port that TCP has."""

DEFAULT_PATIENCE: Final = EngineOptions().patience
"""Seconds without any progress after which a transfer is given up: a broker or service that is
restarted is back long before."""

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Directory for certificates, configurations and files. "
        "[default: $DXLFT_HOME, or dxlft in your user data directory]",
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Client configuration of the fabric. [default: client/dxlclient.config in the home]",
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

OverwriteOption = Annotated[
    Overwrite,
    typer.Option(
        "--overwrite",
        help="What becomes of an older file of the same name: replaced, replaced if the new one "
        "was modified later, kept, or kept with an error if they differ.",
        show_default=True,
    ),
]

SegmentSizeOption = Annotated[
    int | None,
    typer.Option(
        "--segment-size",
        metavar="BYTES",
        min=1,
        max=SEGMENT_SIZE,
        help="Bytes per message. Fewer take longer; a broker with a lower limit needs them. "
        "[default: as many as the service takes]",
    ),
]

PatienceOption = Annotated[
    float,
    typer.Option(
        "--patience",
        metavar="SECONDS",
        min=1.0,
        help="How long to go on trying when nothing gets through.",
        show_default=True,
    ),
]

VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Show the log, and the traceback of an error.")
]

VerboseFilesOption = Annotated[
    bool,
    typer.Option(
        "--verbose", help="Show a line for every file, the log, and the traceback of an error."
    ),
]

StopWithStdinOption = Annotated[bool, typer.Option("--stop-with-stdin", hidden=True)]
