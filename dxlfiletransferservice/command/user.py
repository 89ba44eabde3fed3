"""``dxlft user``: who may log on at the transfer server of a home."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from dxlfabric.durablefiles import make_private_directory
from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.control.paging import paged
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.command.columns import in_columns
from dxlfiletransferservice.command.console import log_to_stderr, remark, say, shown
from dxlfiletransferservice.command.groups import group
from dxlfiletransferservice.command.ls import time_of
from dxlfiletransferservice.command.options import HomeOption, VerboseOption
from dxlfiletransferservice.command.secretinput import new_password
from dxlfiletransferservice.command.serverstate import state_of
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.passwords import Passwords, check_password
from dxlfiletransferservice.control.identity.users import User, Users
from dxlfiletransferservice.home import Home

UserNameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]

_HELP = r"""Say who may log on at the transfer server of a home.

Works at the database of the server, whether it runs or not, also before its first start. Who may
write there needs no password for it.

\b
Examples:
  dxlft user add jsmith
  dxlft user list
  dxlft user password jsmith
  dxlft user remove jsmith
"""

_NANOSECONDS = 1000
"""Nanoseconds in a microsecond."""


def _add(
    *,
    name: UserNameArgument,
    superuser: Annotated[
        bool,
        typer.Option(
            "--superuser", help="Whether the user may see and change what belongs to others."
        ),
    ] = False,
    home: HomeOption = None,
    verbose: VerboseOption = False,
) -> None:
    r"""Add a user.

    Asks for the password twice on a terminal. From a pipe it reads two lines that must be equal, or
    a single one.

    \b
    Examples:
      dxlft user add jsmith
      dxlft user add admin --superuser
      dxlft user add jsmith < two-lines-with-the-password
    """
    log_to_stderr(service=False, verbose=verbose)
    with _users(home, new=True) as users:
        if users.get(name) is not None:
            raise CommandError(
                f"there is a user {brief(name)} already; for another password, use "
                f'"dxlft user password {shown(name)}"',
                ErrorKind.STATE,
            )
        password = check_password(new_password(f"password of {name}"))
        users.add(name, password, superuser=superuser)
    remark(f"added the user {name} in the home {shown(Home.at(home).path)}")


def _list(*, home: HomeOption = None, verbose: VerboseOption = False) -> None:
    r"""List the users: name, whether superuser, and when it was added (UTC).

    \b
    Examples:
      dxlft user list
    """
    log_to_stderr(service=False, verbose=verbose)
    with _users(home) as users:
        found = list(
            paged(lambda after, most: users.page(after=after, limit=most), lambda user: user.name)
        )
    if found:
        for line in in_columns([["NAME", "SUPERUSER", "ADDED"], *map(_row, found)]):
            say(line)


def _remove(
    *, name: UserNameArgument, home: HomeOption = None, verbose: VerboseOption = False
) -> None:
    r"""Remove a user, with all tokens of it; its transfers go on.

    \b
    Examples:
      dxlft user remove jsmith
    """
    log_to_stderr(service=False, verbose=verbose)
    with _users(home) as users:
        users.remove(name)
    remark(f"removed the user {name}")


def _password(
    *, name: UserNameArgument, home: HomeOption = None, verbose: VerboseOption = False
) -> None:
    r"""Give a user another password, which is asked for as by "dxlft user add".

    Whoever has logged on with the one before has to log on again.

    \b
    Examples:
      dxlft user password jsmith
    """
    log_to_stderr(service=False, verbose=verbose)
    with _users(home) as users:
        if users.get(name) is None:
            raise not_found("user", name)
        users.set_password(name, check_password(new_password(f"password of {name}")))
    remark(f"the user {name} has another password now")


user_app = group(_HELP, {"add": _add, "list": _list, "remove": _remove, "password": _password})


@contextmanager
def _users(home: HomeOption, *, new: bool = False) -> Iterator[Users]:
    """Give the users of the transfer server of a home.

    Args:
        home: The home.
        new: Whether the state is made if there is none yet.

    Raises:
        ConfigurationError: Its state cannot be used, or there is none.
    """
    place = Home.at(home)
    state = state_of(place)
    if not (new or state.directory.exists()):
        raise ConfigurationError(
            f"there is no transfer server in the home {shown(place.path)}; choose another one with "
            '--home, or begin one with "dxlft server" or "dxlft user add"'
        )
    try:
        make_private_directory(state.directory)
    except OSError as error:
        raise place.unusable(error) from error
    with closing(Database(state.database)) as database:
        try:
            yield Users(database, Passwords())
        except SQLAlchemyError as error:
            # Its own text shows what was to be written, among it what is kept of passwords.
            reason = brief(str(getattr(error, "orig", None) or type(error).__name__))
            raise ConfigurationError(
                f"the database of the transfer server in {place.path} cannot be used: {reason}"
            ) from error


def _row(user: User) -> list[str]:
    added = "" if user.created_us is None else time_of(user.created_us * _NANOSECONDS)
    return [user.name, "yes" if user.superuser else "no", added]
