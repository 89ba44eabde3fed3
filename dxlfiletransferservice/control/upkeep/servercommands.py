"""The command that tells about the server."""

from collections.abc import Mapping
from typing import Any, Protocol

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.admission.seams import Confinement
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.upkeep.lifetimesettings import LifetimeSettings
from dxlfiletransferservice.control.upkeep.serverinformation import ServerFacts


class _Senders(Protocol):
    @property
    def restricted(self) -> bool: ...


class ServerCommands:
    """``server.getServerInfo``; nobody has to be logged on.

    Args:
        facts: What is known of the server.
        database: Where its settings are kept.
        senders: Says whether only listed senders may send to it.
        confinement: Says where users are confined to.
    """

    def __init__(
        self, facts: ServerFacts, database: Database, senders: _Senders, confinement: Confinement
    ) -> None:
        self._facts = facts
        self._database = database
        self._senders = senders
        self._confinement = confinement

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {"server.getServerInfo": self._information}

    def _information(self, call: Call) -> dict[str, Any]:
        """Return the server's structure; superusers see its ``configuration`` too."""
        call.arguments.finish()
        principal = call.login.principal
        shown = self._facts.structure(
            restricted=self._senders.restricted, sandboxed=self._sandboxed(principal)
        )
        if principal is not None and principal.superuser:
            with self._database.read() as connection:
                settings = LifetimeSettings.of(connection)
            shown["configuration"] = {
                **self._facts.configuration,
                "garbageCollection": settings.structure,
            }
        return shown

    def _sandboxed(self, principal: Principal | None) -> bool | None:
        if principal is None:
            return None
        try:
            return self._confinement.places(principal) is not None
        except CommandError:
            return True  # he is, though not to anything that can be used
