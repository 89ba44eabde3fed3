"""``dxlft stat``: what is stored under a name."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from dxlfiletransferclient.protocol.messages import Kind
from dxlfiletransferservice.command.connecting import connected_client
from dxlfiletransferservice.command.console import log_to_stderr, say, shown
from dxlfiletransferservice.command.eachname import do_for_each
from dxlfiletransferservice.command.interrupts import interrupted_by_signals
from dxlfiletransferservice.command.ls import time_of
from dxlfiletransferservice.command.options import ConfigOption, HomeOption, VerboseOption

if TYPE_CHECKING:
    from dxlfiletransferclient.receiving.receiver import StoredFile


def stat_command(
    *,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Files, links and directories.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a JSON object for each, on a line of its own.")
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    verbose: VerboseOption = False,
) -> None:
    r"""Show what is stored under a name.

    Writes name, kind, size in bytes, time of modification in UTC, whether it is executable, version
    and SHA-256; an empty line is between two of them. If there is nothing of a name, the others
    are still shown, and the exit code is 1.

    \b
    Examples:
      dxlft stat 2026/may.pdf
      dxlft stat --json 2026/may.pdf 2026/june.pdf
    """
    log_to_stderr(service=False, verbose=verbose)
    has_begun = False
    with interrupted_by_signals(), connected_client(config, home) as client:

        def show(name: str) -> None:
            nonlocal has_begun
            stored = client.stat(name, digest=True)
            if as_json:
                say(json.dumps(facts_about(stored)))
                return
            if has_begun:
                say("")
            has_begun = True
            for line in lines_about(stored):
                say(line)

        do_for_each(names, show, verbose=verbose)


def facts_about(stored: "StoredFile") -> dict[str, str | int | bool | None]:
    """Return what is stored as values for JSON; what does not apply to its kind is None."""
    entry = stored.entry
    is_file = entry.kind is Kind.FILE
    return {
        "name": entry.name,
        "kind": str(entry.kind),
        "size": entry.size if is_file else None,
        "modified": time_of(entry.modified_ns),
        "modified_ns": entry.modified_ns,
        "executable": entry.executable if is_file else None,
        "target": entry.target,
        "version": entry.version or None,
        "sha256": stored.sha256,
    }


def lines_about(stored: "StoredFile") -> list[str]:
    """Return what is stored as lines for people: a key, a colon and a value."""
    facts = facts_about(stored)
    del facts["modified_ns"]
    return [f"{key}: {_value(value)}" for key, value in facts.items() if value is not None]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown(str(value))
