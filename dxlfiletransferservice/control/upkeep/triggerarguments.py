"""Which trigger belongs to which event, and what it is told.

==============================  ====================================================================
trigger                         arguments, in this order
==============================  ====================================================================
``launch``                      port of the server
``send.destinationCreated``     address and port of the destination, address and port of the sender
``send.destinationDeleted``     the same
``send.manifestCreated``        id, status
``send.manifestUpdated``        id, status, files, bytes
``send.manifestDeleted``        id
``send.transferCreated``        id, status, id of the destination, id of the manifest
``send.transferUpdated``        the same
``send.transferDeleted``        the same
``send.tokenCreated``           id of the token
``send.tokenDeleted``           the same
``recv.receptionStarted``       id, status, bytes, source, directory, user
``recv.receptionEnded``         the same
``recv.transferComplete``       the same, after ``recv.receptionEnded``, if everything is stored
``server.userAdded``            name of the user
``server.userDeleted``          the same
==============================  ====================================================================

What is not known is an empty argument. The source is a client of the fabric. The directory is what
the sender calls ``destinationPath``, with ``/`` in front of it: below what the server stores, or
below the sandbox of the user. Text that comes from others is cut to one line of printable
characters and never begins with ``-``, so that no program takes it for an option.
"""

from collections.abc import Callable
from typing import Any, Final

from dxlfiletransferservice.control.upkeep.events import Event
from dxlfiletransferservice.publictext import printable

MAX_ARGUMENT: Final = 4096
"""Characters of an argument: those of the longest path."""

_TRANSFER: Final = ("transferId", "status", "destinationId", "manifestId")

_FIELDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "manifestCreated": ("send.manifestCreated", ("manifestId", "status")),
    "manifestUpdated": (
        "send.manifestUpdated",
        ("manifestId", "status", "totalFiles", "totalSize"),
    ),
    "manifestDeleted": ("send.manifestDeleted", ("manifestId",)),
    "transferCreated": ("send.transferCreated", _TRANSFER),
    "transferUpdated": ("send.transferUpdated", _TRANSFER),
    "transferDeleted": ("send.transferDeleted", _TRANSFER),
    "tokenCreated": ("send.tokenCreated", ("token",)),
    "tokenDeleted": ("send.tokenDeleted", ("token",)),
    "userAdded": ("server.userAdded", ("userName",)),
    "userDeleted": ("server.userDeleted", ("userName",)),
}
"""Triggers whose arguments are fields of the structure."""

_Maker = Callable[[Event, "Sender"], list[tuple[str, tuple[str, ...]]]]


class Sender:
    """Where this server sends from, for the arguments of triggers.

    Args:
        address: Address or name of this machine.
        port: Port of the server.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port


def triggers_of(event: Event, sender: Sender) -> list[tuple[str, tuple[str, ...]]]:
    """Return the triggers that an event sets off, each with its arguments.

    Args:
        event: The event.
        sender: Where this server sends from.

    Example:
        >>> event = Event("transferDeleted", 0, {"transferId": "7", "status": "complete"})
        >>> triggers_of(event, Sender("localhost", 8886))
        [('send.transferDeleted', ('7', 'complete', '', ''))]
    """
    make = _SPECIAL.get(event.name)
    if make is not None:
        return make(event, sender)
    known = _FIELDS.get(event.name)
    if known is None:
        return []
    trigger, fields = known
    return [(trigger, tuple(argument(event.data.get(name)) for name in fields))]


def argument(value: Any) -> str:
    """Return a value as an argument of a program.

    Example:
        >>> argument(None), argument(7), argument("--force")
        ('', '7', '?-force')
    """
    text = "" if value is None else printable(str(value), MAX_ARGUMENT)
    return "?" + text[1:] if text.startswith("-") else text


def _launch(_event: Event, sender: Sender) -> list[tuple[str, tuple[str, ...]]]:
    return [("launch", (str(sender.port),))]


def _destination(event: Event, sender: Sender) -> list[tuple[str, tuple[str, ...]]]:
    data = event.data
    address = data.get("destinationIP") or data.get("destinationAddress")
    port = data.get("senderPort")
    # Neither "choose one" (0) nor "that of the receiver" (-1) is a port.
    own = _end(sender.address, port if isinstance(port, int) and port > 0 else sender.port)
    return [(f"send.{event.name}", (_end(address, data.get("destinationPort")), own))]


def _reception(event: Event, _sender: Sender) -> list[tuple[str, tuple[str, ...]]]:
    data = event.data
    fields = ("receptionId", "status", "totalSize", "sourceIP")
    path = data.get("destinationPath")
    directory = argument("/" + str(path or "").lstrip("/"))
    known = (argument(data.get(name)) for name in fields)
    arguments = (*known, directory, argument(data.get("userName")))
    found = [(f"recv.{event.name}", arguments)]
    if event.name == "receptionEnded" and data.get("status") == "complete":
        found.append(("recv.transferComplete", arguments))
    return found


def _end(address: Any, port: Any) -> str:
    shown = argument(address)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"{shown}:{argument(port)}"


_SPECIAL: Final[dict[str, _Maker]] = {
    "serverStarted": _launch,
    "destinationCreated": _destination,
    "destinationDeleted": _destination,
    "receptionStarted": _reception,
    "receptionEnded": _reception,
}
