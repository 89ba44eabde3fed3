"""``dxlft api``: calls any command of a transfer server."""

import json
import sys
from typing import Annotated, Any, Final

import typer

from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.command.console import log_to_stderr, say
from dxlfiletransferservice.command.controlling import (
    ControlOptions,
    ServerOption,
    SuperuserOption,
    UserOption,
    controlled,
)
from dxlfiletransferservice.command.options import ConfigOption, HomeOption, VerboseOption

STANDARD_INPUT: Final = "-"
"""The JSON that stands for standard input."""

_INDENT: Final = 2
_MOST_INPUT: Final = 1_000_000
"""Bytes that are read from standard input at most; a call takes no more."""


def api_command(
    *,
    command: Annotated[
        str, typer.Argument(metavar="COMMAND", help="Name of the command: send.getTransfers.")
    ],
    arguments: Annotated[
        str,
        typer.Argument(
            metavar="[JSON]", help="Its arguments, a JSON object; - for standard input."
        ),
    ] = "{}",
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Of commands that end with Async: wait until the request was carried out, and "
            "print its result.",
        ),
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Call a command of a transfer server, and print its result as JSON.

    On a terminal the JSON is indented, elsewhere it is one line. Each call is a session of its own.
    Whoever runs the server needs no password; others name themselves with --user. Arguments with
    passwords belong on standard input: other users of this machine see command lines.

    \b
    Examples:
      dxlft api server.getServerInfo
      dxlft api send.getTransfers '{"limit": 5}'
      dxlft api send.suspendTransferAsync '{"transferId": "17"}' --wait
      dxlft api server.createUser - < user.json
    """
    log_to_stderr(service=False, verbose=verbose)
    given = parsed(arguments)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    with controlled(options) as control:
        found = control.call(command, given)
        if wait and isinstance(found, dict) and "requestId" in found:
            found = control.result(found)
    say(as_json(found))


def parsed(text: str) -> dict[str, Any]:
    """Return the arguments of a call.

    Args:
        text: A JSON object, or ``-`` for one on standard input.

    Raises:
        typer.BadParameter: It is none.
    """
    source = "what follows COMMAND"
    if text == STANDARD_INPUT:
        source = "standard input"
        data = sys.stdin.buffer.read(_MOST_INPUT + 1)
        if len(data) > _MOST_INPUT:
            raise typer.BadParameter(f"standard input has more than {_MOST_INPUT:,} bytes")
        text = data.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{source} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{source} is {brief(found)}, but must be an object: {{...}}")
    return found


def as_json(value: Any) -> str:
    """Return a value as JSON: for people if standard output is a terminal, else for programs."""
    if not sys.stdout.isatty():
        return json.dumps(value)
    text = json.dumps(value, indent=_INDENT, ensure_ascii=False)
    # What a terminal must not see is inside of texts, where JSON can escape it.
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text
    )
