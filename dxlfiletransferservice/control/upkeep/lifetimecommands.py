"""The commands about life times; for superusers."""

import time
from collections.abc import Callable, Mapping

from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.superusers import require_superuser
from dxlfiletransferservice.control.upkeep.lifetimes import Lifetimes
from dxlfiletransferservice.control.upkeep.lifetimesettings import MAX_LIFETIME, change_lifetimes


class LifetimeCommands:
    """``server.garbageCollect`` and ``server.updateGarbageCollectSettings``.

    Args:
        database: Where the settings are kept.
        lifetimes: Does the work.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self, database: Database, lifetimes: Lifetimes, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._lifetimes = lifetimes
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {
            "server.garbageCollect": self._collect,
            "server.updateGarbageCollectSettings": self._update,
        }

    def _collect(self, call: Call) -> dict[str, int]:
        """Return how many ``transfers``, ``manifests``, ``destinations`` and ``tokens`` went."""
        require_superuser(call)
        call.arguments.finish()
        return self._lifetimes.collect(self._clock())

    def _update(self, call: Call) -> dict[str, float]:
        """Return ``transferLifetimeSeconds`` and ``manifestLifetimeSeconds`` as they are now."""
        require_superuser(call)
        take = call.arguments.optional_number
        transfer = take("transferLifetimeSeconds", least=0, most=MAX_LIFETIME)
        manifest = take("manifestLifetimeSeconds", least=0, most=MAX_LIFETIME)
        call.arguments.finish()
        return change_lifetimes(self._database, transfer=transfer, manifest=manifest).structure
