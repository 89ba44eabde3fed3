"""Texts that programs attach to destinations, manifests, transfers and tokens."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, select, update

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.arguments import MAX_ID, Arguments
from dxlfiletransferservice.control.commands import Call, Handler, not_found
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import destinations, manifests, tokens, transfers

MAX_ENTRIES: Final = 64
"""Texts of one object at most."""

MAX_KEY: Final = 128
"""Characters of a key at most; it has one at least."""

MAX_VALUE: Final = 4096
"""Characters of a value at most."""

MAX_BYTES: Final = 384 * 1024
"""Bytes of all texts of one object as JSON at most, so that its structure fits into an answer. All
that the other limits allow does fit, unless much of it is written in other letters than a to z."""


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    field: str
    table: Table


_KINDS: Final = (
    # Structures of transfers and tokens have the ids of what they refer to as well.
    _Kind("transfer", "transferId", transfers),
    _Kind("token", "token", tokens),
    _Kind("destination", "destinationId", destinations),
    _Kind("manifest", "manifestId", manifests),
)


def check_user_data(data: Mapping[str, str]) -> dict[str, str]:
    """Check the texts of an object, and return them.

    Raises:
        CommandError: They are too many or too long.
    """
    if len(data) > MAX_ENTRIES:
        raise CommandError(f"there are {len(data)} texts of user data; allowed is {MAX_ENTRIES}")
    for key, value in data.items():
        _check_text("key", key, 1, MAX_KEY)
        _check_text("value", value, 0, MAX_VALUE)
    if len(json.dumps(dict(data))) > MAX_BYTES:
        raise CommandError(f"the user data are too long; allowed are {MAX_BYTES} bytes in all")
    return dict(data)


class UserDataCommands:
    """``send.updateObjectUserData`` and ``send.deleteObjectUserData``.

    Both take the object as ``objId``: a structure, or a dictionary with one of the fields
    ``transferId``, ``token``, ``destinationId`` and ``manifestId``, in this order, since a transfer
    has all but the second. A bare id means the only object of the caller that has it; where there
    are several, such as a transfer and a manifest of the same number, it is an error.

    Args:
        database: Where the objects are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {
            "send.updateObjectUserData": self._update,
            "send.deleteObjectUserData": self._delete,
        }

    def _update(self, call: Call) -> None:
        found = call.arguments.required("objId")
        key = _take_key(call.arguments)
        value = call.arguments.optional_text("value", most=MAX_VALUE) or ""
        call.arguments.finish()

        def changed(data: dict[str, str]) -> dict[str, str]:
            return check_user_data({**data, key: value})

        self._change(call.principal, found, changed)

    def _delete(self, call: Call) -> None:
        found = call.arguments.required("objId")
        key = _take_key(call.arguments)
        call.arguments.finish()

        def changed(data: dict[str, str]) -> dict[str, str]:
            if key not in data:
                raise CommandError(f"there are no user data {brief(key)}", ErrorKind.NOT_FOUND)
            return {name: value for name, value in data.items() if name != key}

        self._change(call.principal, found, changed)

    def _change(
        self,
        principal: Principal,
        found: Any,
        changed: Callable[[dict[str, str]], dict[str, str]],
    ) -> None:
        with self._database.write() as connection:
            table, data, this = _object(connection, principal, found)
            values = changed(dict(data))
            connection.execute(update(table).where(this).values(user_data=values))


_Found = tuple[Table, Mapping[str, str], ColumnElement[bool]]


def _object(connection: Connection, principal: Principal, found: Any) -> _Found:
    """Return the table of an object, its user data, and the condition for its row."""
    kinds, shown = _named(found)
    matching = [each for kind in kinds for each in _rows(connection, principal, kind, shown)]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        raise not_found(kinds[0].name if len(kinds) == 1 else "object", shown)
    names = " and ".join(each[0].name for each in matching)
    raise CommandError(
        f"the argument 'objId' is {brief(shown)}, the id of several of your objects ({names}): "
        "give the structure"
    )


def _named(found: Any) -> tuple[tuple[_Kind, ...], object]:
    """Return what an object may be, and its id."""
    if isinstance(found, dict):
        for kind in _KINDS:
            if found.get(kind.field) is not None:
                return (kind,), found[kind.field]
    elif isinstance(found, int | str) and not isinstance(found, bool):
        return _KINDS, found
    fields = ", ".join(kind.field for kind in _KINDS)
    raise CommandError(
        f"the argument 'objId' is {brief(found)}; allowed is an id, or a structure with one of the "
        f"fields {fields}"
    )


def _rows(
    connection: Connection, principal: Principal, kind: _Kind, shown: object
) -> Iterator[_Found]:
    this = _condition(kind, shown)
    if this is None:
        return
    if kind.table is manifests:
        this = this & manifests.c.deleted.is_(False)
    query = select(kind.table.c.user_data).where(this, principal.own(kind.table))
    row = connection.execute(query).one_or_none()
    if row is not None:
        yield kind.table, row.user_data, this


def _condition(kind: _Kind, shown: object) -> ColumnElement[bool] | None:
    text = str(shown)
    if kind.table is tokens:
        # Whoever keeps the token as a whole gives that; what is before the full stop is its id.
        known = tokens.c.id == text.partition(".")[0]
        return known if text.isascii() and text.isprintable() else None
    if text.isascii() and text.isdigit() and len(text) < len(str(MAX_ID)):
        return kind.table.c.id == int(text)
    return None


def _take_key(arguments: Arguments) -> str:
    key = arguments.text("key", most=MAX_KEY)
    _check_text("key", key, 1, MAX_KEY)
    return key


def _check_text(what: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most or "\0" in text:
        raise CommandError(
            f"a {what} of user data is {brief(text)}; allowed is text of {least} to {most} "
            "characters"
        )
