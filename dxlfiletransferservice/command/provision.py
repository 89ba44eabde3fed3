"""``dxlft provision``: certificates and client configurations."""

from typing import Annotated

import typer

from dxlfabric.certificates import provision
from dxlfiletransferservice.command.console import log_to_stderr, say, shown
from dxlfiletransferservice.command.options import HIGHEST_PORT, HomeOption, VerboseOption
from dxlfiletransferservice.home import Home


def provision_command(
    *,
    home: HomeOption = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Host name or address under which the broker is reached; may be repeated. The "
            "first one is written into the client configurations.",
        ),
    ] = None,
    client: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Make certificate and configuration for one more client, in clients/NAME of the "
            "home; may be repeated.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=HIGHEST_PORT,
            help="The broker's port in the client configurations. "
            "[default: what they say, 8883 in new ones]",
        ),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    r"""Make certificates, keys and client configurations.

    Makes a CA, a broker's certificate, and for each client a certificate, a key and a ready
    dxlclient.config. Run it as often as you like: what is good stays, keys are never overwritten,
    and certificates that end within a month are issued anew.

    "dxlft server" and "dxlft broker" do this by themselves; run it to add host names or clients.

    To give a client to another machine, copy its directory there and adjust the file names in its
    dxlclient.config.

    \b
    Examples:
      dxlft provision
      dxlft provision --host files.example.org --client alice --client bob
    """
    log_to_stderr(service=False, verbose=verbose)
    place = Home.at(home)
    try:
        result = provision(place.path, hosts=host or (), clients=client or (), port=port)
    except OSError as error:
        raise place.unusable(error) from error
    for path in result.written:
        say(f"wrote {shown(path)}")
    if not result.written:
        say(f"everything in {shown(place.path)} is good already")
    for name in client or ():
        say(f"client {name}: {shown(result.clients[name].configuration)}")
    say(f"this machine: {shown(result.client.configuration)}")
