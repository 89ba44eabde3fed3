"""Methods for those who run a server; most of them are for superusers."""

# ruff: noqa: N802, N803 - the names of the API

from collections.abc import Mapping
from typing import Any, cast

from dxlfiletransferclient.control.paging import paged
from jetstream.interface import Interface
from jetstream.structures import Event, GarbageCollected, GarbageCollection, Sandbox


class AdministrationMethods(Interface):
    """Methods for those who run a server."""

    def getEventLog(
        self,
        before: int | Mapping[str, Any] | None = None,
        after: int | Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Return what has happened, the oldest first: events of the last 48 hours at most.

        Args:
            before: Only entries before this one, given as it is or by its ``_id``.
            after: Only entries after this one.
            limit: Entries at most, the oldest ones; 0 or ``None`` for all.

        Returns:
            Entries with ``_event``, ``_timestamp``, ``_id``, and fields of what the event is about.
            A superuser sees what concerns all users, and the server itself.

        Raises:
            CommandError: The limit is no such number.

        Example:
            >>> [each["_event"] for each in api.server.getEventLog(limit=2)]  # doctest: +SKIP
            ['manifestCreated', 'manifestUpdated']
        """
        return self._sync.objects(
            "server.getEventLog", "_id", before=_entry(before), after=_entry(after), limit=limit
        )

    def garbageCollect(self) -> GarbageCollected:
        """Remove now what has outlived its time, rather than within the hour; for superusers.

        Returns:
            How many of each kind were removed.

        Raises:
            CommandError: The session is not superuser.

        Example:
            >>> api.server.garbageCollect()  # doctest: +SKIP
            {'transfers': 3, 'manifests': 1, 'destinations': 0, 'tokens': 0}
        """
        return cast("GarbageCollected", self._call("server.garbageCollect"))

    def updateGarbageCollectSettings(
        self,
        transferLifetimeSeconds: float | None = None,
        manifestLifetimeSeconds: float | None = None,
    ) -> GarbageCollection:
        """Set how long things are kept; what is ``None`` stays as it is. For superusers.

        Args:
            transferLifetimeSeconds: Seconds for which a transfer is kept after its end, 0 or more;
                172800 (48 hours) at first.
            manifestLifetimeSeconds: Seconds for which a manifest that nothing uses is kept after it
                was made, 0 or more; 172800 at first.

        Returns:
            Both, as they are now.

        Raises:
            CommandError: The session is not superuser, or a value is out of range.

        Example:
            >>> api.server.updateGarbageCollectSettings(transferLifetimeSeconds=3600)
            ... # doctest: +SKIP
            {'transferLifetimeSeconds': 3600.0, 'manifestLifetimeSeconds': 172800.0}
        """
        found = self._call(
            "server.updateGarbageCollectSettings",
            transferLifetimeSeconds=transferLifetimeSeconds,
            manifestLifetimeSeconds=manifestLifetimeSeconds,
        )
        return cast("GarbageCollection", found)

    def getSandboxMappings(self) -> dict[str, dict[str, Sandbox]]:
        """Return which directories users are confined to; for superusers.

        Returns:
            Sandboxes by user; ``""`` is the one of everybody who has none of his own.

        Raises:
            CommandError: The session is not superuser.

        Example:
            >>> api.server.getSandboxMappings()  # doctest: +SKIP
            {'': {'': {'type': 'File', 'path': '/srv/files/%u'}}}
        """
        command = "server.getSandboxMappings"

        def fetch(after: str | None, most: int) -> list[tuple[str, dict[str, Sandbox]]]:
            return list(self._call(command, after=after, limit=most).items())

        return dict(paged(fetch, lambda each: each[0]))

    def setSandboxMapping(
        self, userName: str, mapping: Mapping[str, str | Mapping[str, str]]
    ) -> None:
        """Confine a user to directories, for what he sends and what others send in his name.

        Args:
            userName: The user; ``""`` for everybody who has no sandbox of his own.
            mapping: Absolute paths of directories at the server, by the names with which the paths
                begin that the user names; the name ``""``, alone, makes one directory the root of
                everything. In a path, ``%u`` stands for the user's name and ``%%`` for ``%``. In
                place of a path, ``{"type": "File", "path": path}`` will do. An empty mapping takes
                the sandbox away.

        Raises:
            CommandError: The session is not superuser, there is no such user, or the mapping is
                wrong.

        Example:
            >>> api.server.setSandboxMapping("jsmith", {"data": "/srv/data"})  # doctest: +SKIP
        """
        self._call("server.setSandboxMapping", userName=userName, mapping=mapping)


def _entry(given: int | Mapping[str, Any] | None) -> Any:
    return given.get("_id") if isinstance(given, Mapping) else given
