"""``dxlft share``: makes tokens that open files of the server, to be got by "dxlft get --token"."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Annotated, Any, Final

import typer

from dxlfiletransferclient.control.errors import CommandError, ControlError
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.command.columns import in_columns
from dxlfiletransferservice.command.console import (
    listed,
    log_to_stderr,
    number_of_files,
    remark,
    say,
    shown,
)
from dxlfiletransferservice.command.controlling import (
    Control,
    ControlOptions,
    ServerOption,
    SuperuserOption,
    UserOption,
    controlled,
)
from dxlfiletransferservice.command.ls import time_of
from dxlfiletransferservice.command.options import ConfigOption, HomeOption, VerboseOption
from dxlfiletransferservice.command.secretinput import new_password
from dxlfiletransferservice.control.identity.passwords import check_password

MAPPINGS_AT_ONCE: Final = 50
"""Mappings in one call: with paths of 4096 characters, which JSON may make six times as long, they
still fit into a message, whose size is limited."""

_SECONDS_PER_HOUR: Final = 3600.0
_NANOSECONDS: Final = 1000
"""Nanoseconds in a microsecond."""


def share_command(
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files and directories on the machine of the server."
        ),
    ] = None,
    password: Annotated[
        bool,
        typer.Option(
            "--password", help="Ask for a password, without which the token opens nothing."
        ),
    ] = False,
    downloads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="How often it may be used. [default: as often as one likes]"
        ),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            metavar="H", min=0.001, help="Hours until it expires. [default: when it is revoked]"
        ),
    ] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it is for; only you see that.")
    ] = None,
    list_tokens: Annotated[
        bool, typer.Option("--list", help="List your tokens, and share nothing.")
    ] = False,
    revoke: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="Make a token worthless, given by its id or whole."),
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    server: ServerOption = None,
    user: UserOption = None,
    superuser: SuperuserOption = False,
    verbose: VerboseOption = False,
) -> None:
    r"""Make a token that opens files and directories of the server to whoever has it.

    Writes the token alone to standard output; it cannot be shown again. The files are read where
    they are when somebody gets them, so leave them there. --password asks as "dxlft user add" does.
    A path is one on the machine of the server; a relative one counts from the current directory.

    --list writes a line for each token: id, expiry (UTC), downloads so far and at most, whether it
    needs a password, description. Revoking a token does not end downloads that have begun.

    \b
    Examples:
      dxlft share report.pdf
      dxlft share photos report.pdf --hours 48 --downloads 3 --password
      dxlft share --list
      dxlft share --revoke 7-9f3a52c81e04
    """
    log_to_stderr(service=False, verbose=verbose)
    _check_one_wish(paths, revoke, list_tokens=list_tokens)
    options = ControlOptions(
        config=config, home=home, server=server, user=user, superuser=superuser
    )
    if list_tokens or revoke is not None:
        with controlled(options) as control:
            if revoke is None:
                _list(control)
            else:
                control.call("send.deleteSharedToken", {"token": revoke})
                remark(f"revoked the token {shown(revoke.partition('.')[0])}")
        return
    mappings = named(paths or ())
    secret = check_password(new_password("password of the token")) if password else None
    with controlled(options) as control:
        manifest = _manifest(control, mappings)
        token = control.call(
            "send.createSharedToken",
            {
                "manifestId": manifest["manifestId"],
                "password": secret,
                "downloadLimit": downloads,
                "timeLimitSeconds": None if hours is None else hours * _SECONDS_PER_HOUR,
                "description": description,
            },
        )
        key = control.hello.public_key
    say(token["token"])
    _explain(token, manifest, mappings, key)


def named(paths: Sequence[str]) -> dict[str, str]:
    """Return the paths to be shared by the names under which they are got.

    Args:
        paths: As they were given.

    Raises:
        typer.BadParameter: A path is empty or has no name, or two have the same.

    Example:
        >>> named(["/srv/photos/", "/srv/2026/../may.csv"])
        {'photos': '/srv/photos', 'may.csv': '/srv/may.csv'}
    """
    found: dict[str, str] = {}
    for path in paths:
        if not path:
            raise typer.BadParameter("a PATH is empty; write . for this directory")
        source = os.path.abspath(path)  # noqa: PTH100 - Path.absolute leaves ".." in
        name = PurePath(source).name
        if not name:
            raise typer.BadParameter(f"{shown(path)} has no name: share what is in it")
        if found.setdefault(name, source) != source:
            raise typer.BadParameter(
                f"{shown(found[name])} and {shown(source)} would both be called {brief(name)}: "
                "share them one by one"
            )
    return found


def _check_one_wish(paths: list[str] | None, revoke: str | None, *, list_tokens: bool) -> None:
    if not (paths or list_tokens or revoke is not None):
        raise typer.BadParameter("name a PATH to share, or use --list or --revoke")
    if sum((bool(paths), list_tokens, revoke is not None)) > 1:
        raise typer.BadParameter("name PATHs to share, or use --list, or --revoke, one at a time")


def _manifest(control: Control, mappings: Mapping[str, str]) -> dict[str, Any]:
    """Return a manifest that is complete; one that is not is removed again."""
    first, *others = _pieces(mappings)
    made = control.call("send.createManifest", {"mappings": first, "more": bool(others)})
    number = {"manifestId": made["manifestId"]}
    try:
        for left, piece in zip(range(len(others) - 1, -1, -1), others, strict=True):
            more = {"mappings": piece, "more": bool(left)}
            control.call("send.addManifestMappings", {**number, **more})
        found: dict[str, Any] = control.settled(lambda: control.call("send.getManifest", number))
        if found["status"] != "complete":
            raise CommandError(f"this cannot be shared: {found['errorMessage']}")
    except BaseException:
        # The server would do it in the end.
        with suppress(ControlError):
            control.call("send.deleteManifest", number)
        raise
    return found


def _pieces(mappings: Mapping[str, str]) -> Iterator[dict[str, str]]:
    every = list(mappings.items())
    for begin in range(0, len(every), MAPPINGS_AT_ONCE):
        yield dict(every[begin : begin + MAPPINGS_AT_ONCE])


def _explain(
    token: Mapping[str, Any],
    manifest: Mapping[str, Any],
    mappings: Mapping[str, str],
    key: str | None,
) -> None:
    """Say on standard error what a token opens, until when, and how it is used."""
    files, size = manifest["totalFiles"] or 0, manifest["totalSize"] or 0
    names = ", ".join(shown(name) for name in mappings)
    remark(f"opens {number_of_files(files)}, {size:,} bytes: {names}")
    limits = [f"until {_expiry(token)}" if token["expiryTime"] else "until it is revoked"]
    limit = token["downloadLimit"]
    if limit is not None:
        limits.append("for 1 download" if limit == 1 else f"for {limit:,} downloads")
    if token["passwordRequired"]:
        limits.append("with its password")
    remark(", ".join(limits))
    of = "" if key is None else f" --server {key}"
    remark(
        f"whoever can connect to the fabric gets it with: dxlft get --token {token['token']}{of}"
    )


def _list(control: Control) -> None:
    rows = [_row(each) for each in control.objects("send.getSharedTokens", "token")]
    if rows:
        header = ["TOKEN", "EXPIRES", "DOWNLOADS", "PASSWORD", "DESCRIPTION"]
        for line in in_columns([header, *rows]):
            say(line)


def _row(token: Mapping[str, Any]) -> list[str]:
    limit = token["downloadLimit"]
    count = f"{token['downloadCount']:,}" + ("" if limit is None else f" of {limit:,}")
    password = "yes" if token["passwordRequired"] else "no"
    expires = _expiry(token) if token["expiryTime"] else "never"
    return [token["token"], expires, count, password, listed(token["description"] or "")]


def _expiry(token: Mapping[str, Any]) -> str:
    return time_of(token["expiryTime"] * _NANOSECONDS)
