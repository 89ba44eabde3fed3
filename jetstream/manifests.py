"""Methods about manifests: what is to be sent, and under which names."""

# ruff: noqa: N802, N803 - the names of the API

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from dxlfiletransferclient.control.errors import CommandError, ControlError
from dxlfiletransferclient.control.paging import paged
from dxlfiletransferclient.errors import brief
from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.mappings import Mappings, pieces, plain, turned
from jetstream.structures import FileMapping, FileSpec, Manifest, ManifestFiles
from jetstream.syncinterface import checked_limit

_GET_FILES: Final = "send.getManifestFiles"


class ManifestMethods(Interface):
    """Methods about manifests."""

    def createManifest(
        self,
        fileMappings: Mapping[str, str] | None = None,
        mappings: Mapping[str, str | FileSpec] | None = None,
        symlinkOptions: int | None = None,
    ) -> Manifest:
        """Begin to collect files, under the names that they shall have at a destination.

        The manifest is there at once, and can be sent as soon as it is complete: poll
        ``getManifest`` and look at ``processing``, or use ``waitForManifest``.

        Args:
            fileMappings: The older way: destination paths by source paths. Give either this or
                ``mappings``.
            mappings: Sources by destination paths. A source is the path of a file or directory at
                the server, which must exist; or a dict of ``src`` and what is known of it, so that
                nothing is looked at before a transfer begins: ``size`` (bytes), ``flags``
                (``FILETYPE_…``), ``access`` (``"x"`` for executable). With neither ``size`` nor
                ``flags`` it is an empty directory. Any number of mappings will do.
            symlinkOptions: ``SYMLINK_…``, added up; by default what links lead to is sent in their
                place.

        Returns:
            The manifest, which is ``pending`` as a rule.

        Raises:
            CommandError: A source does not exist or may not be sent, or two files would get the
                same name.

        Example:
            >>> api.send.createManifest(  # doctest: +SKIP
            ...     mappings={"/project/introduction.txt": "/usr/docs/readme.txt"}
            ... )
            {'manifestId': '2', 'status': 'pending', 'processing': True, 'totalFiles': None, ...}
        """
        if mappings is not None and fileMappings is None:
            wanted = plain(mappings, "mappings")
        elif fileMappings is not None and mappings is None:
            wanted = turned(plain(fileMappings, "fileMappings"))
        else:
            raise CommandError("send.createManifest needs one of 'mappings' and 'fileMappings'")
        first, *others = pieces(wanted)
        manifest = self._call(
            "send.createManifest",
            mappings=first,
            symlinkOptions=symlinkOptions,
            more=True if others else None,
        )
        if others:
            manifest = self._completed(manifest["manifestId"], others)
        return cast("Manifest", manifest)

    def deleteManifest(self, manifestId: ObjectId) -> None:
        """Delete a manifest, at any time; transfers that are sending it go on.

        Args:
            manifestId: The manifest, or its id.

        Raises:
            CommandError: There is no such manifest.

        Example:
            >>> api.send.deleteManifest("2")  # doctest: +SKIP
        """
        self._call("send.deleteManifest", manifestId=id_in(manifestId, "manifestId"))

    def getManifest(self, manifestId: ObjectId) -> Manifest:
        """Return a manifest.

        Args:
            manifestId: The manifest, or its id.

        Returns:
            The manifest as it is now.

        Raises:
            CommandError: There is no such manifest.

        Example:
            >>> api.send.getManifest("2")["totalFiles"]  # doctest: +SKIP
            1
        """
        wanted = id_in(manifestId, "manifestId")
        return cast("Manifest", self._call("send.getManifest", manifestId=wanted))

    def getManifestFiles(self, manifestId: ObjectId, limit: int | None = None) -> ManifestFiles:
        """Return the files of a manifest, in the order in which they are sent.

        Args:
            manifestId: The manifest, or its id.
            limit: Files at most, the first ones; 0 or ``None`` for all. A million of them take
                about a gigabyte of memory here.

        Returns:
            ``manifestId`` and ``fileMappings``.

        Raises:
            CommandError: There is no such manifest, it is not complete, or the limit is no such
                number.

        Example:
            >>> api.send.getManifestFiles("2")["fileMappings"][0]["destPath"]  # doctest: +SKIP
            'project/introduction.txt'
        """
        most = checked_limit(_GET_FILES, limit)
        wanted = id_in(manifestId, "manifestId")
        files = list(self.each_file(wanted, most))
        return {"manifestId": str(wanted), "fileMappings": files}

    def getManifests(
        self,
        before: ObjectId | None = None,
        after: ObjectId | None = None,
        limit: int | None = None,
    ) -> list[Manifest]:
        """Return the caller's manifests in the order in which they were made.

        Args:
            before: Only those made before this manifest, given by its structure or id.
            after: Only those made after this manifest, given by its structure or id.
            limit: Manifests at most, the oldest ones; 0 or ``None`` for all.

        Returns:
            The manifests; a superuser sees those of all users.

        Raises:
            CommandError: The limit is no such number.

        Example:
            >>> [each["manifestId"] for each in api.send.getManifests(after="2")]  # doctest: +SKIP
            ['3', '5']
        """
        return self._sync.objects(
            "send.getManifests",
            "manifestId",
            before=id_in(before, "manifestId"),
            after=after,
            limit=limit,
        )

    def waitForManifest(self, manifestId: ObjectId) -> Manifest:
        """Wait until all files of a manifest are collected.

        A server that is started anew meanwhile is waited for.

        Args:
            manifestId: The manifest, or its id.

        Returns:
            The manifest, whose ``status`` is ``complete``, or ``error``; ``errorMessage`` says why.

        Raises:
            CommandError: There is no such manifest, or it was deleted meanwhile.
            WaitTimeoutError: It takes longer than ``waitTimeoutSeconds``.

        Example:
            >>> api.send.waitForManifest(manifest)["status"]  # doctest: +SKIP
            'complete'
        """
        wanted = id_in(manifestId, "manifestId")
        return self._sync.wait(f"manifest {brief(wanted)}", lambda: self.getManifest(wanted))

    def each_file(self, manifestId: ObjectId, limit: int | None = None) -> Iterator[FileMapping]:
        """Return the files of a manifest one by one; they are fetched as they are needed.

        Args:
            manifestId: The manifest, or its id.
            limit: Files at most; ``None`` for all.

        Raises:
            CommandError: There is no such manifest.
        """
        wanted = id_in(manifestId, "manifestId")
        fetched = 0

        def fetch(_after: int | None, most: int) -> list[FileMapping]:
            nonlocal fetched
            after = fetched - 1 if fetched else None
            found = self._call(_GET_FILES, manifestId=wanted, after=after, limit=most)
            files: list[FileMapping] = found["fileMappings"]
            fetched += len(files)
            return files

        return paged(fetch, lambda _last: fetched, limit=limit)

    def _completed(self, manifest: Any, parts: list[Mappings]) -> Any:
        """Add what did not fit into the first call; without all of it, the manifest goes."""
        found = None
        try:
            for position, part in enumerate(parts, 1):
                found = self._call(
                    "send.addManifestMappings",
                    manifestId=manifest,
                    mappings=part,
                    more=position < len(parts),
                )
        except ControlError:
            self._drop(manifest)
            raise
        return found

    def _drop(self, manifest: Any) -> None:
        try:
            self._call("send.deleteManifest", manifestId=manifest)
        except ControlError as error:
            self._logger.debug("manifest %s stays for a while: %s", manifest, error)
