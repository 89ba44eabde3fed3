"""``dxlft broker``: the embedded broker alone."""

import asyncio
import ipaddress
import signal
from typing import Annotated, Final

import typer

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import DEFAULT_PORT, Provisioned, provision
from dxlfiletransferservice.command.console import log_to_stderr, say, shown
from dxlfiletransferservice.command.options import (
    DEFAULT_ADDRESS,
    HIGHEST_PORT,
    AddressOption,
    HomeOption,
    StopWithStdinOption,
    VerboseOption,
)
from dxlfiletransferservice.endings import stop_with_stdin
from dxlfiletransferservice.home import Home
from dxlfiletransferservice.supervisor import READY

PREDECESSOR_TIMEOUT: Final = 5.0
"""Seconds to wait for another broker of the same home to end: one whose server was killed notices
that at once and takes about a second."""


def broker_command(
    *,
    home: HomeOption = None,
    host: AddressOption = DEFAULT_ADDRESS,
    port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=HIGHEST_PORT,
            help="Port to listen on; 0 for one that is free.",
            show_default=True,
        ),
    ] = DEFAULT_PORT,
    verbose: VerboseOption = False,
    stop_with_standard_input: StopWithStdinOption = False,
) -> None:
    r"""Run a DXL broker on this machine.

    A small broker for one machine, for trying out and for tests. It lets in clients with a
    certificate of the home's CA; any DXL client can use client/dxlclient.config in the home, which
    is brought up to date at the start. SIGTERM and Ctrl-C end it.

    Writes a line that begins with "ready" when clients can connect.

    \b
    Examples:
      dxlft broker
      dxlft broker --host 0.0.0.0 --port 8883
    """
    log_to_stderr(service=True, verbose=verbose)
    place = Home.at(home)
    if stop_with_standard_input:
        stop_with_stdin()
    with place.held_for("broker", timeout=PREDECESSOR_TIMEOUT):
        asyncio.run(_serve(place, host, port))


async def _serve(home: Home, host: str, port: int) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    fabric = _provision(home, host, None)
    async with EmbeddedBroker(
        fabric.broker, host=host, port=port, broker_id=fabric.broker_id
    ) as broker:
        fabric = _provision(home, host, broker.port)
        configuration = shown(fabric.client.configuration)
        say(f"{READY}: broker on {host} port {broker.port}; clients use {configuration}")
        await stop.wait()


def _provision(home: Home, host: str, port: int | None) -> Provisioned:
    try:
        return provision(home.path, hosts=_hosts_for_clients(host), port=port)
    except OSError as error:
        raise home.unusable(error) from error


def _hosts_for_clients(address: str) -> tuple[str, ...]:
    """Return what clients have to use; nothing if the broker listens everywhere."""
    try:
        is_everywhere = ipaddress.ip_address(address).is_unspecified
    except ValueError:
        # A host name, which stands for one address.
        is_everywhere = False
    return () if is_everywhere else (address,)
