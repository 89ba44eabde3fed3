"""Where a destination is: what was asked for, checked, and the broker that it means."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func

from dxlfiletransferclient.control.constants import DEFAULT_API_PORT
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.sealing.keys import check_public_key
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.sending.addresses import MAX_ADDRESS, check_host
from dxlfiletransferservice.control.tables import destinations

MAX_PORT: Final = 65_535
"""Highest port that there is."""

MAX_KEY: Final = 256
"""Characters of a public key at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a destination is, and how it is reached.

    Attributes:
        address: Host name or IP address of its broker; with a relay, the name of its instance.
        port: Port of its broker.
        authenticate: Whether it must have ``public_key``.
        public_key: Its key, if it is known.
        relay_address: Host name or IP address of the broker to dial in its stead.
        relay_port: Port of that broker.
        sender_port: Kept and shown; on a bus it means nothing.
    """

    address: str
    port: int
    authenticate: bool
    public_key: str | None
    relay_address: str | None
    relay_port: int | None
    sender_port: int | None

    @property
    def dialled(self) -> tuple[str, int, bool]:
        """The address and port of the broker to dial, and whether that is a relay."""
        if self.relay_address is not None and self.relay_port is not None:
            return self.relay_address.lower(), self.relay_port, True
        return self.address.lower(), self.port, False

    def same(self) -> ColumnElement[bool]:
        """Return the condition for the destinations that are at this place."""
        table = destinations.c
        relayed = self.relay_address is not None
        # Host names are the same in capitals; names of instances are not.
        address = table.address == self.address
        if not relayed:
            address = func.lower(table.address) == self.address.lower()
        relay = None if self.relay_address is None else self.relay_address.lower()
        return and_(
            address,
            table.port == self.port,
            table.authenticate == self.authenticate,
            _equal(table.public_key, self.public_key),
            _equal(func.lower(table.relay_address), relay),
            _equal(table.relay_port, self.relay_port),
            _equal(table.sender_port, self.sender_port),
        )

    def columns(self) -> dict[str, Any]:
        """Return the columns of a destination at this place."""
        return {
            "address": self.address,
            "port": self.port,
            "authenticate": self.authenticate,
            "public_key": self.public_key,
            "relay_address": self.relay_address,
            "relay_port": self.relay_port,
            "sender_port": self.sender_port,
        }


def take_place(arguments: Arguments) -> Place:
    """Take the arguments that say where a destination is.

    Args:
        arguments: The arguments.

    Raises:
        CommandError: One of them is wrong, or they do not go together.
    """
    address = arguments.text("destinationAddress", most=MAX_ADDRESS)
    port = arguments.optional_integer("destinationPort", least=1, most=MAX_PORT)
    relay_address, relay_port = _take_relay(arguments)
    key = _take_key(arguments)
    authenticate = arguments.flag("authenticateDestination", default=key is not None)
    sender_port = arguments.optional_integer("senderPort", least=-1, most=MAX_PORT)
    if authenticate and key is None:
        raise CommandError(
            "the argument 'authenticateDestination' is true: 'destinationPublicKey' is needed with "
            "it, the 'publicKey' that getServerInfo tells at the destination"
        )
    if relay_address is None:
        check_host(address)
    elif not address.isprintable():
        raise CommandError(f"the argument 'destinationAddress' is {brief(address)}: no name")
    return Place(
        address=address,
        port=port or DEFAULT_API_PORT,
        authenticate=authenticate,
        public_key=key,
        relay_address=relay_address,
        relay_port=relay_port,
        sender_port=sender_port or None,
    )


def _take_relay(arguments: Arguments) -> tuple[str | None, int | None]:
    address = arguments.optional_text("relayAddress", most=MAX_ADDRESS) or None
    port = arguments.optional_integer("relayPort", least=1, most=MAX_PORT)
    if address is None:
        if port is not None:
            raise CommandError("the argument 'relayPort' is there without a 'relayAddress'")
        return None, None
    check_host(address)
    return address, port or DEFAULT_API_PORT


def _take_key(arguments: Arguments) -> str | None:
    given = arguments.optional_text("destinationPublicKey", most=MAX_KEY)
    if not given:
        return None
    try:
        return check_public_key(given)
    except ValueError as error:
        raise CommandError(
            f"the argument 'destinationPublicKey' is {brief(given)}: {error}"
        ) from error


def _equal(column: ColumnElement[Any], value: object) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value
