"""Calls of commands, as handlers are given them."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Login
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal

SECOND = 1_000_000
"""Microseconds."""

ANN = Principal("ann", may_raise=True)
BOB = Principal("bob")
ROOT = Principal("root", superuser=True, may_raise=True)

_counter = itertools.count(1)


class Clock:
    """Microseconds since 1970 that go on when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    @property
    def seconds(self) -> float:
        return self.now / SECOND

    def pass_by(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


def call(
    command: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    principal: Principal | None = ANN,
    session: str = "s1",
    call_id: str | None = None,
) -> Call:
    """Return a call with an id of its own, unless one is given."""
    login = Login(session=session, peer="{peer}", principal=principal)
    number = call_id or f"{next(_counter):032x}"
    return Call(login, Arguments(command, dict(arguments or {})), number)


def unchanged(principal: Principal) -> Principal:
    """Say of everybody that he has the rights that he had."""
    return principal


@contextmanager
def opened(directory: Path) -> Iterator[Database]:
    """Give the database in a directory; threads can share it, unlike one in memory."""
    database = Database(f"sqlite:///{directory / 'server.db'}")
    try:
        yield database
    finally:
        database.close()
