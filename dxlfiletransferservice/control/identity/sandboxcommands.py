"""Commands for the sandboxes of users; for superusers."""

import json
from collections.abc import Mapping
from typing import Any

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.identity.sandboxes import Sandboxes
from dxlfiletransferservice.control.pages import MAX_PAGE_BYTES
from dxlfiletransferservice.control.superusers import require_superuser


class SandboxCommands:
    """The commands for sandboxes; a ``CommandGroup``.

    Args:
        sandboxes: The sandboxes.
    """

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the full names of their commands."""
        return {
            "server.getSandboxMappings": self._get,
            "server.setSandboxMapping": self._set,
        }

    def _get(self, call: Call) -> dict[str, Any]:
        """Return the sandboxes by the names of their users; ``""`` is everybody's.

        They come in the order of the names, as many as fit: the caller goes on with ``after``, the
        last name, until nothing comes.
        """
        require_superuser(call)
        after = call.arguments.optional_text("after")
        limit = call.arguments.optional_integer("limit", least=0, most=2**63 - 1) or MAX_PAGE
        call.arguments.finish()
        page: dict[str, Any] = {}
        room = MAX_PAGE_BYTES
        for user, mapping in self._sandboxes.page(after=after, limit=min(limit, MAX_PAGE)).items():
            room -= len(json.dumps({user: mapping}))
            if page and room < 0:
                break
            page[user] = mapping
        return page

    def _set(self, call: Call) -> None:
        """Confine ``userName``, or everybody without a sandbox (``""``), to ``mapping``.

        An empty mapping takes the sandbox away.
        """
        require_superuser(call)
        user = call.arguments.optional_text("userName") or ""
        mapping = call.arguments.mapping("mapping")
        call.arguments.finish()
        self._sandboxes.set(user, mapping)
