"""The command that shows the event log."""

from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.pages import take_page
from dxlfiletransferservice.control.upkeep.events import EventLog

_ENTRY_ID: Final = "_id"


class EventCommands:
    """``server.getEventLog(before, after, limit)``.

    Args:
        log: The event log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {"server.getEventLog": self._entries}

    def _entries(self, call: Call) -> list[dict[str, Any]]:
        """Return a page of the log, the oldest first; the log includes what has just happened."""
        principal = call.principal
        wanted = take_page(call.arguments, _ENTRY_ID)
        call.arguments.finish()
        if principal.manifest_id is not None:
            raise CommandError("a shared token does not open the event log", ErrorKind.NOT_ALLOWED)
        self._log.flush()
        return self._log.entries(principal, wanted)
