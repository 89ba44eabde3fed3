"""For how long the server keeps what has ended or is not used."""

from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import Connection

from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.properties import keep_property, property_value

TRANSFER_LIFETIME: Final = 48 * 3600.0
"""Seconds for which a transfer is kept after it has ended, unless the settings say otherwise."""

MANIFEST_LIFETIME: Final = 48 * 3600.0
"""Seconds for which a manifest that nobody uses is kept after it was made, unless the settings say
otherwise."""

MAX_LIFETIME: Final = 100 * 365 * 24 * 3600.0
"""Longest lifetime in seconds: a hundred years stand for ever."""

_PROPERTY: Final = "garbageCollection"


@dataclass(frozen=True, slots=True)
class LifetimeSettings:
    """The life times that superusers may change.

    Attributes:
        transfer: Seconds for which a transfer is kept after it has ended.
        manifest: Seconds for which a manifest that nobody uses is kept after it was made.
    """

    transfer: float = TRANSFER_LIFETIME
    manifest: float = MANIFEST_LIFETIME

    @property
    def structure(self) -> dict[str, float]:
        """What programs are shown."""
        return {
            "transferLifetimeSeconds": self.transfer,
            "manifestLifetimeSeconds": self.manifest,
        }

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Return what is kept in the database; what is not is as by default."""
        kept: dict[str, Any] = property_value(connection, _PROPERTY) or {}
        return cls(
            transfer=kept.get("transferLifetimeSeconds", TRANSFER_LIFETIME),
            manifest=kept.get("manifestLifetimeSeconds", MANIFEST_LIFETIME),
        )


def change_lifetimes(
    database: Database, *, transfer: float | None, manifest: float | None
) -> LifetimeSettings:
    """Change life times; they hold from the next sweep on.

    Args:
        database: Where they are kept.
        transfer: Seconds for which a transfer is kept after it has ended; ``None`` for no change.
        manifest: The same for manifests that nobody uses.

    Returns:
        What holds now.
    """
    with database.write() as connection:
        old = LifetimeSettings.of(connection)
        new = LifetimeSettings(
            transfer=old.transfer if transfer is None else transfer,
            manifest=old.manifest if manifest is None else manifest,
        )
        keep_property(connection, _PROPERTY, new.structure)
    return new
