"""``dxlft server``: broker and service."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from dxlfabric.connection import connect
from dxlfiletransferservice import FileTransferService
from dxlfiletransferservice.command.console import log_to_stderr, say, shown
from dxlfiletransferservice.command.exitcodes import exit_code_for
from dxlfiletransferservice.command.options import (
    DEFAULT_ADDRESS,
    HIGHEST_PORT,
    HomeOption,
    StopWithStdinOption,
    VerboseOption,
)
from dxlfiletransferservice.command.servicedirectory import (
    write_joining_configuration,
    write_settings,
)
from dxlfiletransferservice.endings import (
    Stopped,
    stop_with_stdin,
    stopped_by_signals,
    wait_for_ever,
)
from dxlfiletransferservice.home import Home
from dxlfiletransferservice.supervisor import READY, BrokerSupervisor, ProcessFailedError

DEFAULT_PORT: Final = 8886
"""Port of the embedded broker: not that of DXL brokers, so that both can be on one machine."""

logger = logging.getLogger(__name__)


def server_command(
    *,
    home: HomeOption = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address that the broker listens on; 0.0.0.0 for every network of this machine. "
            f"[default: {DEFAULT_ADDRESS}]",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=HIGHEST_PORT,
            help=f"Port that the broker listens on; 0 for one that is free. "
            f"[default: {DEFAULT_PORT}]",
        ),
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where files are stored; kept in the settings for later starts. "
            "[default: storage in the home]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Start no broker: join the fabric that this dxlclient.config names.",
        ),
    ] = None,
    verbose: VerboseOption = False,
    stop_with_standard_input: StopWithStdinOption = False,
) -> None:
    r"""Store files that are sent over the fabric.

    Runs the file transfer service, and a small broker for it in a process of its own, which is
    started again if it dies. The first start makes everything in the home: certificates, and
    client/dxlclient.config for any client on this machine. Settings of the service are in
    service/dxlfiletransferservice.config (with --config, in joined/). SIGTERM and Ctrl-C end it.

    Writes a line that begins with "ready" when it takes files; the log goes to standard error.

    \b
    Examples:
      dxlft server
      dxlft server --home /srv/files --host 0.0.0.0 --port 8886
      dxlft server --config /etc/dxl/dxlclient.config --storage /srv/files
    """
    log_to_stderr(service=True, verbose=verbose)
    if config is not None and (host is not None or port is not None):
        raise typer.BadParameter("--host and --port are for the broker, which --config leaves out")
    if stop_with_standard_input:
        stop_with_stdin()
    place = Home.at(home)
    try:
        with stopped_by_signals(), place.held_for("server"), ExitStack() as stack:
            if config is not None:
                directory = _join(place, config)
                where = "the fabric"
            else:
                address = host or DEFAULT_ADDRESS
                wanted = DEFAULT_PORT if port is None else port
                broker = stack.enter_context(BrokerSupervisor(place.path, address, wanted))
                directory = place.service
                where = f"{address} port {broker.port}"
            _prepare(place, directory, storage)
            service = stack.enter_context(
                FileTransferService(directory, state_dir=place.state, private=[place.path])
            )
            service.run()
            _report_ready(place, service, where, config)
            wait_for_ever()
    except Stopped:
        logger.info("the server has ended")
    except ProcessFailedError as error:
        if error.exit_code is None or error.exit_code <= 0:
            raise
        # The broker has written the reason on the standard error that it shares with this process.
        raise typer.Exit(exit_code_for(error)) from error


def _join(home: Home, config: Path) -> Path:
    # The service would wait for ever for a fabric that refuses it; this says at once why.
    connect(config).destroy()
    try:
        write_joining_configuration(home.joined_service, config)
    except OSError as error:
        raise home.unusable(error) from error
    return home.joined_service


def _prepare(home: Home, directory: Path, storage: Path | None) -> None:
    try:
        write_settings(directory, storage, home.storage)
    except OSError as error:
        raise home.unusable(error) from error


def _report_ready(
    home: Home, service: FileTransferService, where: str, config: Path | None
) -> None:
    stored = service.settings.storage_dir if service.settings else home.storage
    configuration = config or home.client_configuration
    say(
        f"{READY}: files that are sent to {where} are stored in {shown(stored)}; clients use "
        f"{shown(configuration)}"
    )
