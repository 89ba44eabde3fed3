"""``dxlft transfers``: what the transfer server sends, and how it goes on with it."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

import typer

from dxlfiletransferclient.control.constants import MAX_PRIORITY
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.command.api import as_json
from dxlfiletransferservice.command.columns import in_columns
from dxlfiletransferservice.command.console import (
    complain,
    listed,
    log_to_stderr,
    remark,
    say,
    shown,
    trace,
)
from dxlfiletransferservice.command.controlling import (
    Control,
    ControlOptions,
    ServerOption,
    SuperuserOption,
    UserOption,
    controlled,
)
from dxlfiletransferservice.command.exitcodes import ExitCode
from dxlfiletransferservice.command.groups import group
from dxlfiletransferservice.command.options import ConfigOption, HomeOption, VerboseOption
from dxlfiletransferservice.command.watching import percent_of, watch, watch_display

DEFAULT_LIMIT: Final = 100
"""Transfers that are listed, unless one wants more: what a person looks through."""

_FOR_EVERY_TRANSFER: Final = (ErrorKind.NOT_AUTHENTICATED, ErrorKind.UNKNOWN_COMMAND)
_UNTIL_ENDED: Final = ("pending", "sending", "resuming", "suspended")
_HEADER: Final = ["ID", "STATUS", "DONE", "BYTES", "FILES", "LANE", "PRIORITY", "TO", "REASON"]
_NUMBERS: Final = (0, 2, 3, 4, 6)
"""Columns of the list that have numbers."""

_HELP = r"""See what the transfer server sends, and change how it goes on with it.

\b
Examples:
  dxlft transfers list
  dxlft transfers watch
  dxlft transfers suspend 17
  dxlft transfers resume 17
"""

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the transfer.")]
IdsArgument = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of the transfers.")]


def _list(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="List those that are complete or have failed, too.")
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="The newest so many.", show_default=True)
    ] = DEFAULT_LIMIT,
    as_structures: Annotated[
        bool, typer.Option("--json", help="Write the structures, as the API has them.")
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""List your transfers, and those of others if you are a superuser.

    \b
    Examples:
      dxlft transfers list
      dxlft transfers list --all --limit 1000
      dxlft transfers list --json | jq .
    """
    log_to_stderr(service=False, verbose=verbose)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    with controlled(options) as control:
        found = _newest(control, limit, every=every)
        if as_structures:
            say(as_json(found))
            return
        destinations = _destinations(control) if found else {}
    if found:
        rows = [_row(each, destinations.get(each["destinationId"])) for each in found]
        for line in in_columns([_HEADER, *rows], right=_NUMBERS):
            say(line)


def _watch(
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Ids of the transfers. [default: all under way]"),
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Show how transfers go, until all of them are complete, have failed or are suspended.

    Ends with a line for each. The exit code is 1 unless all are complete. Ctrl-C ends only the
    watching.

    \b
    Examples:
      dxlft transfers watch
      dxlft transfers watch 17 18
    """
    log_to_stderr(service=False, verbose=verbose)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    with controlled(options) as control:
        wanted = ids or [each["transferId"] for each in _all(control) if each["processing"]]
        if not wanted:
            remark("no transfer is under way")
        complete = watch(control, wanted, watch_display(), sleep=time.sleep)
    if not complete:
        raise typer.Exit(ExitCode.FAILURE)


def _suspend(
    *,
    ids: IdsArgument,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Stop transfers; they can be resumed where they are then.

    \b
    Examples:
      dxlft transfers suspend 17 18
    """
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    _change_each(options, ids, "send.suspendTransferAsync", "suspended", verbose=verbose)


def _resume(
    *,
    ids: IdsArgument,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Go on with transfers that are suspended.

    \b
    Examples:
      dxlft transfers resume 17
    """
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    _change_each(options, ids, "send.resumeTransferAsync", "resumed", verbose=verbose)


def _priority(
    *,
    transfer_id: IdArgument,
    number: Annotated[
        int,
        typer.Argument(
            metavar="N", min=0, max=MAX_PRIORITY, help="The priority; lower numbers go first."
        ),
    ],
    lane: Annotated[
        str | None, typer.Option(metavar="NAME", help="Lane of the destination to put it in.")
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Change the priority of a transfer, and its lane.

    \b
    Examples:
      dxlft transfers priority 17 5
      dxlft transfers priority 17 100 --lane High
    """
    log_to_stderr(service=False, verbose=verbose)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    arguments = {"transferId": transfer_id, "priority": number, "priorityLane": lane}
    with controlled(options) as control:
        control.carry_out("send.setTransferPriorityAsync", arguments)
    where = "" if lane is None else f" in the lane {shown(lane)}"
    say(f"transfer {shown(transfer_id)}: priority {number}{where}")


def _rate(
    *,
    transfer_id: IdArgument,
    kilobits: Annotated[
        float,
        typer.Argument(metavar="KBIT", help="Kilobits per second at most; -1 for no limit."),
    ],
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Limit how fast a transfer is sent.

    \b
    Examples:
      dxlft transfers rate 17 8000
      dxlft transfers rate 17 -1
    """
    log_to_stderr(service=False, verbose=verbose)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    arguments = {"transferId": transfer_id, "sendRateMax": kilobits}
    with controlled(options) as control:
        found = control.carry_out("send.setTransferSendRateMaxAsync", arguments)
    committed = found["sendRateMax"]
    limit = "no limit" if committed < 0 else f"{committed:,.10g} kbit/s at most"
    say(f"transfer {shown(transfer_id)}: {limit}")


def _fail(
    *,
    transfer_id: IdArgument,
    message: Annotated[
        str | None,
        typer.Argument(metavar="[MESSAGE]", help="What to say about why. [default: cancelled]"),
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""End a transfer as failed. What is stored already stays there.

    \b
    Examples:
      dxlft transfers fail 17
      dxlft transfers fail 17 "not needed any more"
    """
    log_to_stderr(service=False, verbose=verbose)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    with controlled(options) as control:
        control.call("send.failTransfer", {"transferId": transfer_id, "errorMessage": message})
    say(f"transfer {shown(transfer_id)}: failed")


def _delete(
    *,
    ids: IdsArgument,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Delete transfers that are not under way: suspend or fail those that are first.

    \b
    Examples:
      dxlft transfers delete 17 18
    """
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    _change_each(options, ids, "send.deleteTransfer", "deleted", verbose=verbose)


transfers_app = group(
    _HELP,
    {
        "list": _list,
        "watch": _watch,
        "suspend": _suspend,
        "resume": _resume,
        "priority": _priority,
        "rate": _rate,
        "fail": _fail,
        "delete": _delete,
    },
    plain_numbers=["rate"],
)


def _change_each(
    options: ControlOptions, ids: Iterable[str], command: str, done: str, *, verbose: bool
) -> None:
    """Call a command for each transfer; what is refused is told, and the next one follows.

    Raises:
        typer.Exit: Something was refused.
        ControlError: What holds for every transfer, as that the server cannot be reached.
    """
    log_to_stderr(service=False, verbose=verbose)
    failed = False
    with controlled(options) as control:
        call: Callable[[str, Mapping[str, Any]], Any] = (
            control.carry_out if command.endswith("Async") else control.call
        )
        for number in dict.fromkeys(ids):
            try:
                call(command, {"transferId": number})
            except CommandError as error:
                if error.kind in _FOR_EVERY_TRANSFER:
                    raise
                if verbose:
                    trace(error)
                complain(f"transfer {shown(number)}: {error}")
                failed = True
            else:
                say(f"transfer {shown(number)}: {done}")
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def _all(control: Control) -> Iterable[dict[str, Any]]:
    return control.objects("send.getTransfers", "transferId")


def _newest(control: Control, limit: int, *, every: bool) -> list[dict[str, Any]]:
    """Return the newest transfers, the oldest of them first."""
    wanted = (each for each in _all(control) if every or each["status"] in _UNTIL_ENDED)
    return list(deque(wanted, maxlen=limit))


def _destinations(control: Control) -> dict[str, dict[str, Any]]:
    """Return destinations by their ids."""
    found = control.objects("send.getDestinations", "destinationId")
    return {each["destinationId"]: each for each in found}


def _row(transfer: Mapping[str, Any], destination: Mapping[str, Any] | None) -> list[str]:
    path = transfer["destinationPath"]
    where, reason = f"destination {transfer['destinationId']}", transfer["errorMessage"] or ""
    if destination is not None:
        where = f"{destination['destinationAddress']}:{destination['destinationPort']}"
        if transfer["processing"]:
            reason = destination["lastErrorMessage"] or ""  # why it does not begin, or go on
    return [
        transfer["transferId"],
        transfer["status"],
        f"{percent_of(transfer)} %",
        f"{transfer['totalBytes'] or 0:,}",
        f"{transfer['totalFiles'] or 0:,}",
        listed(transfer["priorityLane"] or ""),
        str(transfer["priority"]),
        listed(f"{where} {path}".rstrip()),
        listed(reason),
    ]
