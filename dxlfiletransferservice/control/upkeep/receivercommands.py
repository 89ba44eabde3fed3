"""The commands about what others send here; for superusers."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.pages import take_page
from dxlfiletransferservice.control.superusers import require_superuser
from dxlfiletransferservice.control.upkeep.authorizedsenders import AuthorizedSenders, checked_key
from dxlfiletransferservice.control.upkeep.requests import Requests

_KEY: Final = "clientPublicKey"
_ONLY: Final = "onlyAuthorizedClientsAllowed"
_ID: Final = "receptionId"


class Receptions(Protocol):
    """Knows the transfers that others send here."""

    def transfers(
        self, *, before: int | None, after: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return structures of transfers, the oldest first; the last ones if ``after`` is none."""
        ...

    def sources(self) -> list[dict[str, Any]]:
        """Return structures of those who send."""
        ...


class ReceiverCommands:
    """The five commands of ``recv``; what they ask for is done in the background.

    Args:
        requests: Carries them out.
        senders: Who may send.
        receptions: What is sent here.
    """

    def __init__(
        self, requests: Requests, senders: AuthorizedSenders, receptions: Receptions
    ) -> None:
        self._requests = requests
        self._senders = senders
        self._receptions = receptions

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {
            "recv.addAuthorizedClientAsync": self._add,
            "recv.removeAuthorizedClientAsync": self._remove,
            "recv.allowOnlyAuthorizedClientsAsync": self._restrict,
            "recv.getSourcesAsync": self._sources,
            "recv.getTransfersAsync": self._transfers,
        }

    def _add(self, call: Call) -> dict[str, int]:
        """Put a sender on the list; there is no result."""
        key = _key(call)
        return self._submit(call, lambda: self._senders.add(key))

    def _remove(self, call: Call) -> dict[str, int]:
        """Take a sender off the list; there is no result."""
        key = _key(call)
        return self._submit(call, lambda: self._senders.remove(key))

    def _restrict(self, call: Call) -> dict[str, int]:
        """Say whether only senders on the list may send; there is no result."""
        require_superuser(call)
        call.arguments.required(_ONLY)
        only = call.arguments.flag(_ONLY, default=False)
        return self._submit(call, lambda: self._senders.restrict(only_listed=only))

    def _sources(self, call: Call) -> dict[str, int]:
        """Return those who send, as the result."""
        require_superuser(call)
        return self._submit(call, self._receptions.sources)

    def _transfers(self, call: Call) -> dict[str, int]:
        """Return what is sent here, as the result: a page of it, by default the last one."""
        require_superuser(call)
        wanted = take_page(call.arguments, _ID)

        def run() -> list[dict[str, Any]]:
            return self._receptions.transfers(
                before=wanted.before, after=wanted.after, limit=wanted.limit
            )

        return self._submit(call, run)

    def _submit(self, call: Call, run: Callable[[], Any]) -> dict[str, int]:
        call.arguments.finish()
        return self._requests.submit(call, run)


def _key(call: Call) -> str:
    """Take the key, which is given as it is or in a structure."""
    require_superuser(call)
    given = call.arguments.required(_KEY)
    found = given.get(_KEY) if isinstance(given, dict) else given
    if isinstance(found, str):
        return checked_key(found)
    raise CommandError(f"the argument {_KEY!r} is {brief(given)}; allowed is the key of a server")
